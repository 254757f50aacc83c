"""Chooses, prepares and starts jobs, on the machine where the command runs."""
