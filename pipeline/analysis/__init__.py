"""Pure functions over results: figures, quality, ranking and the classes of failures."""
