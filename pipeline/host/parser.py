"""The orchestrator's options and help, its own beside those that it shares with the worker (pipeline/options.py)."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from pipeline.catalog import Catalog
from pipeline.current import Env
from pipeline.host import model_option
from pipeline.host.cluster.options import add_cluster_options
from pipeline.host.dataset_options import DATASET, add_field_options
from pipeline.host.limits import Stage
from pipeline.host.placement_options import add_placement_options
from pipeline.host.report_options import add_report_options
from pipeline.options import add_hardware_options, add_run_option, add_workload_options, positive

DEFAULT_BUDGET = 30
"""Minutes of --tune."""
MOST_LAUNCHES = 1000
"""Of an experiment: every launch is a job that the plan holds and the report shows."""

# In minutes, 0 for none. Generous: they are there for what hangs, not for what is slow.
DEFAULT_TIME_LIMITS: dict[Stage, int] = {"load": 60, "compile": 120, "generate": 0}
DEFAULT_IDLE_LIMITS: dict[Stage, int] = {"load": 15, "compile": 20, "generate": 20}

EXAMPLES = """\
examples:
  python orchestrator.py --gpu a100 --all                     every experiment that this GPU can run
  python orchestrator.py --gpu t4 --experiment vllm-awq --experiment 4-bit --docs 10
  python orchestrator.py --gpu auto --all --plan              what would run, what not and why; starts nothing
  python orchestrator.py --gpu auto --all --doctor            what this machine lacks for that, and how to mend it
  python orchestrator.py --gpu auto --prepare --all           fetch and make everything before any GPU time
  python orchestrator.py --gpu cpu --all --dataset mine.jsonl --docs 20
  python orchestrator.py --gpu auto --tune vllm --budget 60   its fastest settings for these documents on this GPU
  python orchestrator.py --report RUN_A RUN_B --output both   one report over several runs

launchers: docker runs each experiment in its image (found, pulled with --pull, or built), process in a virtual
environment of its own; auto takes docker where an engine answers that can reach the GPU. Builds and --prepare in
containers read SSL_CERT_FILE (a CA bundle), PIP_CONFIG_FILE, the proxy variables, and BENCHMARK_BASE_<VARIANT> (another
base image); docs/images.md. ray runs each job on a node of a Ray cluster, which takes docker or process as auto does,
or the one that ray-docker or ray-process names; docs/cluster.md.

exit status: 0 all that could run did; 1 something failed, or an experiment asked for by name was skipped, or nothing
ran; 2 bad usage; 130 interrupted. The same command again keeps what is done and does only what is missing.
"""


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
    _add_workload(parser, catalog)
    _add_run(parser)
    add_report_options(parser)
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
        "--doctor",
        dest="action",
        action="store_const",
        const="doctor",
        help="check this machine for all that a run needs, and say how to mend what it lacks; starts nothing",
    )
    group.add_argument(
        "--prepare",
        dest="action",
        action="store_const",
        const="prepare",
        help="make environments, fetch models and documents",
    )
    group.add_argument(
        "--explain",
        metavar="LOGFILE",
        help="say what broke a program by its log, from anywhere (- reads standard input)",
    )
    group.add_argument(
        "--report",
        nargs="+",
        metavar="RUN",
        help="report on these runs (names under --results, or folders) again, or together; starts nothing",
    )
    group.add_argument(
        "--explain-speed",
        metavar="RUN",
        help="say factor by factor where a run's speed comes from, from the baseline one document at a time to its "
        "fastest row; starts nothing",
    )
    group.add_argument(
        "--bertscore",
        metavar="RUN",
        help="score a finished run's summaries (its name or folder) with BERTScore too, in an image of its own, into "
        "bertscore.jsonl beside each job's documents.jsonl",
    )
    group.add_argument(
        "--import",
        dest="import_from",
        metavar="FOLDER",
        help="read the published experiments' own files (data_*.json and results_*.json) into a run, score them again "
        "and report on it; starts nothing",
    )
    group.add_argument(
        "--tune",
        metavar="EXPERIMENT",
        help="search for its fastest settings on this hardware for this workload, within --budget; with real weights "
        "the fastest that passes the quality gate against the untuned row is kept as an experiment of its own",
    )
    parser.set_defaults(action="run")
    parser.add_argument(
        "--budget",
        type=positive,
        metavar="MINUTES",
        help=f"of --tune, for its trials (default: {DEFAULT_BUDGET})",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON on standard output")


def _add_choices(parser: argparse.ArgumentParser, catalog: Catalog, launchers: Sequence[str]) -> None:
    group = parser.add_argument_group("experiments and hardware")
    group.add_argument(
        "--all", action="store_true", help="every experiment that this hardware can run, but for those by name only"
    )
    group.add_argument(
        "--experiment",
        action="append",
        metavar="NAME",
        help=f"one experiment, repeatable: {', '.join(catalog.experiments)}",
    )
    add_hardware_options(group, catalog, model_option.FORMS, model_option.ALSO)
    add_placement_options(group)
    group.add_argument(
        "--launcher", default="auto", choices=["auto", *launchers], help="what starts each job (default: %(default)s)"
    )
    add_cluster_options(group)
    group.add_argument(
        "--env",
        default="own",
        choices=get_args(Env),
        help="without Docker: an environment for each image, installed from its lock, or the current interpreter, with "
        "what is installed in it, for machines that can install nothing (default: %(default)s)",
    )
    group.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="[IMAGE=]NAME",
        help="insist on an image's variant, such as cu128, or on every image's; repeatable (default: the newest that "
        "driver and GPU can run)",
    )
    group.add_argument(
        "--pull",
        action="store_true",
        help="with docker, pull the published images by their digests in images/digests.json; others are built",
    )
    group.add_argument(
        "--registry", metavar="HOST/NAME", help="with --pull, a mirror to take instead of the registry in that file"
    )


def _add_workload(parser: argparse.ArgumentParser, catalog: Catalog) -> None:
    group = parser.add_argument_group("workload, the same for all experiments")
    add_workload_options(group, catalog, DATASET)
    group.add_argument("--articles", type=Path, metavar="FILE", help="of a fetched dataset only these, one URL a line")
    add_field_options(group)


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run and its folders")
    add_run_option(group, "the same name again does only what is missing")
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
    group.add_argument(
        "--launches",
        type=partial(positive, most=MOST_LAUNCHES),
        default=1,
        metavar="M",
        help="launch each experiment so often, each time in a fresh process or container, all in turn "
        "(default: %(default)s)",
    )
    again = group.add_mutually_exclusive_group()
    again.add_argument("--fresh", dest="rerun", action="store_const", const="fresh", help="run everything again")
    again.add_argument(
        "--only-failed", dest="rerun", action="store_const", const="only-failed", help="run just what failed before"
    )
    group.add_argument(
        "--job-timeout", type=positive, metavar="MINUTES", help="end a job that takes longer (default: none)"
    )
    for option, what, defaults in (
        ("--time-limit", "end a job of which a stage takes longer", DEFAULT_TIME_LIMITS),
        ("--idle-limit", "end a job of which a stage gives no sign of life for so long", DEFAULT_IDLE_LIMITS),
    ):
        usual = ", ".join(f"{stage}={minutes}" for stage, minutes in defaults.items())
        group.add_argument(
            option,
            action="append",
            default=[],
            metavar="[STAGE=]MINUTES",
            help=f"{what}; load, compile or generate, 0 for none; repeatable (default: {usual})",
        )
    parser.set_defaults(rerun="missing", fail_fast=False)
