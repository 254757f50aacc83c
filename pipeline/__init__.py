"""Which way of running a language model summarises documents fastest, on the hardware at hand, at equal quality."""

__version__ = "0.1.0"
