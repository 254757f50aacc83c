"""Errors that a user can mend. Their text names the file or option, the fault and the mend."""


class BenchmarkError(Exception):
    """Anything that ends the command with a clear message instead of a traceback."""


class UsageError(BenchmarkError):
    """Bad input: an unknown name, a malformed file, an option that contradicts the machine. Exit status 2."""
