"""Results for people: the terminal and Markdown."""
