"""Models of --model that the catalogue does not list: of the Hub or a folder, described by their own files."""
