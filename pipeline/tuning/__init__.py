"""--tune: what may be changed of an experiment, which changes to try next, and what came of them."""
