"""Where weights are fetched from: each module has one function that fills a folder and returns the revision."""
