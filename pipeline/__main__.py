"""Entrypoint of every image: `python -m pipeline` hands over to the worker."""

import sys

from pipeline.worker.entrypoint import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
