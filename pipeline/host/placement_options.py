"""The options that say on which of this host's GPUs jobs run."""

import argparse

from pipeline.errors import UsageError
from pipeline.hardware import ALL, Numbers


def add_placement_options(group: argparse._ArgumentGroup) -> None:
    """--gpus and --exclusive."""
    group.add_argument(
        "--gpus",
        metavar="N,N|all",
        help="run on these GPUs, as nvidia-smi numbers them, or on all of the kind: jobs side by side, each on its "
        "own, and one that needs two waits for two (default: the first)",
    )
    group.add_argument(
        "--exclusive", action="store_true", help="with several GPUs, still one job at a time: no other shares the host"
    )


def parse_gpus(given: str | None) -> Numbers:
    """--gpus as numbers, each once; a UsageError for anything else."""
    if given is None or given == ALL:
        return ALL if given else None
    words = [word.strip() for word in given.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UsageError(f"--gpus {given}: takes numbers of nvidia-smi, such as 0,1, or {ALL}")
    return tuple(dict.fromkeys(map(int, words)))
