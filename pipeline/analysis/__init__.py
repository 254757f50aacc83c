"""Pure functions over results: figures, quality, limits and the classes of failures."""
