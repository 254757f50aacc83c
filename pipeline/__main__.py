"""Entrypoint of every image: `python -m pipeline` hands over to the worker."""

import atexit
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pipeline.worker.entrypoint import main


def run(argv: Sequence[str]) -> NoReturn:
    """Run the worker and end the process, without taking the interpreter apart.

    That takes most of a second with an engine's libraries in it, and all that matters is done: the files are written,
    the engine is closed, and what was registered for the end is called.
    """
    status = main(argv)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run(sys.argv[1:])
