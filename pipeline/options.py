"""The options that the orchestrator's and the worker's command lines share: one definition, one help, one check."""

import argparse
import re
from dataclasses import dataclass

from pipeline.catalog import Catalog
from pipeline.errors import UsageError
from pipeline.hardware import AUTO, CPU
from pipeline.spec import Scenario

DEFAULT_DOCS = 100
DEFAULT_MAX_NEW_TOKENS = 300
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Options:
    """What decides the jobs of a command besides its experiments. None stands for "not said"."""

    gpu: str
    force_gpu: bool
    model: str | None
    dataset: str | None
    docs: int | None
    seed: int
    scenario: Scenario
    max_new_tokens: int
    batch_size: int | None
    prompt: str | None
    run: str | None


def check_options(given: argparse.Namespace) -> None:
    """Check a parsed command line's shared options against each other; a UsageError names the option and the mend."""
    if given.run is not None and not RUN_NAME.fullmatch(given.run):
        raise UsageError(
            f"--run {given.run!r}: use letters, digits, dots, dashes and underscores, a letter or digit first"
        )
    if given.scenario == "single" and given.batch_size not in (None, 1):
        raise UsageError(f"--batch-size {given.batch_size}: scenario single runs one document at a time; leave it out")


def add_hardware_options(group: argparse._ArgumentGroup, catalog: Catalog) -> None:
    """--gpu, --force-gpu and --model."""
    group.add_argument(
        "--gpu", default=AUTO, metavar="NAME", help=f"{AUTO} (default), {CPU}, or one of {', '.join(catalog.gpus)}"
    )
    group.add_argument(
        "--force-gpu", action="store_true", help="take --gpu's word although it contradicts the GPU found"
    )
    defaults = ", ".join(f"{entry.model} on {device}" for device, entry in catalog.defaults.items())
    group.add_argument("--model", metavar="NAME", help=f"{', '.join(catalog.models)} (default: {defaults})")


def add_workload_options(group: argparse._ArgumentGroup, catalog: Catalog, dataset: str) -> None:
    """--dataset (dataset: what it takes here) and the options that say what is summarised and how."""
    defaults = ", ".join(f"{entry.dataset} on {device}" for device, entry in catalog.defaults.items())
    group.add_argument("--dataset", metavar="NAME|FILE", help=f"{dataset} (default: {defaults})")
    group.add_argument(
        "--docs",
        type=positive,
        metavar="N",
        help=f"documents, chosen by seed (default: {DEFAULT_DOCS}, or all if fewer)",
    )
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the choice of documents (default: %(default)s)"
    )
    group.add_argument(
        "--scenario",
        default="offline",
        choices=["offline", "single"],
        help="offline: all documents handed over at once; single: one at a time (default: %(default)s)",
    )
    group.add_argument(
        "--max-new-tokens", type=positive, default=DEFAULT_MAX_NEW_TOKENS, metavar="N", help="default: %(default)s"
    )
    group.add_argument(
        "--batch-size", type=positive, metavar="N", help="documents a step (default: each experiment's own)"
    )
    group.add_argument("--prompt", metavar="NAME", help=f"{', '.join(catalog.prompts)} (default: the model's own)")


def add_run_option(group: argparse._ArgumentGroup, again: str) -> None:
    """--run. again: what the same name does a second time."""
    group.add_argument("--run", metavar="NAME", help=f"name of the run; {again}")


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value
