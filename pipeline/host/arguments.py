"""The orchestrator's command line: options, their checks and their help."""

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.catalog import Catalog
from pipeline.errors import UsageError
from pipeline.host.execute import Rerun
from pipeline.host.hardware import AUTO, CPU
from pipeline.spec import Scenario

SECONDS_PER_MINUTE = 60
DEFAULT_DOCS = 100
DEFAULT_MAX_NEW_TOKENS = 300
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

EXAMPLES = """\
examples:
  python orchestrator.py --gpu a100 --all                     every experiment that this GPU can run
  python orchestrator.py --gpu t4 --experiment vllm-awq --experiment 4-bit --docs 10
  python orchestrator.py --gpu auto --all --plan              what would run, what not and why; starts nothing
  python orchestrator.py --gpu auto --prepare --all           fetch and make everything before any GPU time
  python orchestrator.py --gpu cpu --all --dataset mine.jsonl --docs 20

exit status: 0 all that could run did; 1 something failed, or an experiment asked for by name was skipped, or nothing
ran; 2 bad usage; 130 interrupted. The same command again keeps what is done and does only what is missing.
"""


@dataclass(frozen=True)
class Arguments:
    """The checked command line. None stands for "not said". command: as it was typed, for the report."""

    command: str
    gpu: str
    force_gpu: bool
    experiments: tuple[str, ...]
    model: str | None
    dataset: str | None
    articles: Path | None
    docs: int | None
    seed: int
    scenario: Scenario
    max_new_tokens: int
    batch_size: int | None
    prompt: str | None
    launcher: str
    run: str | None
    label: str | None
    data: Path
    cache: Path
    results: Path
    action: str
    all: bool
    fail_fast: bool
    rerun: Rerun
    timeout_s: float | None
    json: bool


def parse(argv: Sequence[str], catalog: Catalog, launchers: Sequence[str]) -> Arguments:
    """Parse and check. argparse ends the program with status 2 for what it finds; other faults raise UsageError."""
    given = build_parser(catalog, launchers).parse_args(argv)
    names = tuple(dict.fromkeys(given.experiment)) if given.experiment else tuple(catalog.experiments)
    if given.action == "run" and not given.all and not given.experiment:
        raise UsageError(
            "nothing to run: name experiments with --experiment, or take --all; --list shows what there is"
        )
    if given.run is not None and not RUN_NAME.fullmatch(given.run):
        raise UsageError(
            f"--run {given.run!r}: use letters, digits, dots, dashes and underscores, a letter or digit first"
        )
    if given.scenario == "single" and given.batch_size not in (None, 1):
        raise UsageError(f"--batch-size {given.batch_size}: scenario single runs one document at a time; leave it out")
    fields = {name: value for name, value in vars(given).items() if name in Arguments.__dataclass_fields__}
    folders = {name: getattr(given, name).resolve() for name in ("data", "cache", "results")}
    own = {
        "command": shlex.join(["python", "orchestrator.py", *argv]),
        "experiments": names,
        "timeout_s": given.job_timeout * SECONDS_PER_MINUTE if given.job_timeout else None,
    }
    return Arguments(**(fields | folders | own))


def build_parser(catalog: Catalog, launchers: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the names that there are in its help."""
    parser = argparse.ArgumentParser(
        prog="orchestrator.py",
        description="Find out which way of running a language model summarises documents fastest on this machine, "
        "at which quality, and what stops the other ways from running.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_actions(parser)
    _add_choices(parser, catalog, launchers)
    _add_workload(parser)
    _add_run(parser)
    return parser


def _add_actions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do (default: run the experiments)").add_mutually_exclusive_group()
    group.add_argument(
        "--list", dest="action", action="store_const", const="list", help="show experiments, models, datasets, GPUs"
    )
    group.add_argument(
        "--plan", dest="action", action="store_const", const="plan", help="show what would run and what not, and why"
    )
    group.add_argument(
        "--prepare",
        dest="action",
        action="store_const",
        const="prepare",
        help="make environments, fetch models and documents",
    )
    parser.set_defaults(action="run")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON on standard output")


def _add_choices(parser: argparse.ArgumentParser, catalog: Catalog, launchers: Sequence[str]) -> None:
    group = parser.add_argument_group("experiments and hardware")
    group.add_argument("--all", action="store_true", help="every experiment that this hardware can run")
    group.add_argument(
        "--experiment",
        action="append",
        metavar="NAME",
        help=f"one experiment, repeatable: {', '.join(catalog.experiments)}",
    )
    group.add_argument(
        "--gpu", default=AUTO, metavar="NAME", help=f"{AUTO} (default), {CPU}, or one of {', '.join(catalog.gpus)}"
    )
    group.add_argument(
        "--force-gpu", action="store_true", help="take --gpu's word although it contradicts the GPU found"
    )
    group.add_argument(
        "--model", metavar="NAME", help=f"{', '.join(catalog.models)} (default: by hardware, see --list)"
    )
    group.add_argument(
        "--launcher", default="auto", choices=["auto", *launchers], help="what starts each job (default: %(default)s)"
    )


def _add_workload(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workload, the same for all experiments")
    group.add_argument(
        "--dataset", metavar="NAME|FILE", help="a dataset of --list, or a JSONL file with id, document, summary"
    )
    group.add_argument("--articles", type=Path, metavar="FILE", help="of a fetched dataset only these, one URL a line")
    group.add_argument(
        "--docs",
        type=_positive,
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
        "--max-new-tokens", type=_positive, default=DEFAULT_MAX_NEW_TOKENS, metavar="N", help="default: %(default)s"
    )
    group.add_argument(
        "--batch-size", type=_positive, metavar="N", help="documents a step (default: each experiment's own)"
    )
    group.add_argument("--prompt", metavar="NAME", help="default: the model's own, see --list")


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run and its folders")
    group.add_argument("--run", metavar="NAME", help="name of the run; the same name again does only what is missing")
    group.add_argument("--label", metavar="TEXT", help="a remark that stands above the report")
    for name, what in (
        ("results", "one folder a run"),
        ("cache", "environments and models"),
        ("data", "datasets"),
    ):
        group.add_argument(f"--{name}", type=Path, default=Path(name), metavar="DIR", help=f"{what} (default: {name})")
    failing = group.add_mutually_exclusive_group()
    failing.add_argument("--keep-going", dest="fail_fast", action="store_false", help="go on after a failure (default)")
    failing.add_argument("--fail-fast", dest="fail_fast", action="store_true", help="stop at the first failure")
    again = group.add_mutually_exclusive_group()
    again.add_argument("--fresh", dest="rerun", action="store_const", const="fresh", help="run everything again")
    again.add_argument(
        "--only-failed", dest="rerun", action="store_const", const="only-failed", help="run just what failed before"
    )
    group.add_argument(
        "--job-timeout", type=_positive, metavar="MINUTES", help="end a job that takes longer (default: none)"
    )
    parser.set_defaults(rerun="missing", fail_fast=False)


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value
