"""Documents as others keep them (Parquet, CSV, JSON lines, the Hub), read row by row: memory doesn't grow with them."""
