"""The options that say which of this host's GPUs jobs run on, and over how many workers each is spread."""

import argparse
from functools import partial

from pipeline.errors import UsageError
from pipeline.hardware import ALL, Numbers
from pipeline.options import positive

MOST_SHARDS = 500
"""Of a job: every shard is a worker, and a file that is open while they are merged."""


def add_placement_options(group: argparse._ArgumentGroup) -> None:
    """--gpus, --exclusive and --shards."""
    group.add_argument(
        "--gpus",
        metavar="N,N|all",
        help="run on these GPUs, as nvidia-smi numbers them, or on all of the kind: jobs side by side, each on its "
        "own, and one that needs two waits for two (default: the first)",
    )
    group.add_argument(
        "--exclusive", action="store_true", help="with several GPUs, still one job at a time: no other shares the host"
    )
    group.add_argument(
        "--shards",
        type=partial(positive, most=MOST_SHARDS),
        default=1,
        metavar="N",
        help="split each job's documents over N workers and merge what they did; a shard that was cut off goes on from "
        "its documents, which leaves the job without a speed (default: %(default)s)",
    )


def parse_gpus(given: str | None) -> Numbers:
    """--gpus as numbers, each once; a UsageError for anything else."""
    if given is None or given == ALL:
        return ALL if given else None
    words = [word.strip() for word in given.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UsageError(f"--gpus {given}: takes numbers of nvidia-smi, such as 0,1, or {ALL}")
    return tuple(dict.fromkeys(map(int, words)))


def check_shards(given: argparse.Namespace) -> None:
    """A UsageError for an option that a job in several workers has no meaning for."""
    if given.shards == 1:
        return
    for option, value in (("--repeats", given.repeats > 1), ("--find-batch-size", given.find_batch_size)):
        if value:
            raise UsageError(
                f"{option}: belongs to one worker's job, and --shards {given.shards} splits each over several; "
                "leave one of them out"
            )
    if given.tune is not None:
        raise UsageError("--shards: --tune looks for the settings of one worker; leave one of them out")
