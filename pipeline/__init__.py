"""Which way of running a language model summarises documents fastest, on the hardware at hand, at equal quality."""

import sys

__version__ = "0.1.0"

# With --env current any interpreter may be the one; an older one would end at some import, with no word of why.
if sys.version_info < (3, 11):  # noqa: UP036
    raise ImportError(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]} ({sys.executable})")
