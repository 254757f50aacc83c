"""The orchestrator's command line: its own options and help, beside those that it shares (pipeline/options.py)."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from pipeline.catalog import Catalog, find
from pipeline.current import Env
from pipeline.errors import UsageError
from pipeline.hardware import Numbers
from pipeline.host import model_option
from pipeline.host.cluster.options import add_cluster_options, settle_cluster
from pipeline.host.dataset_options import DATASET, FieldChoice, add_field_options, parse_fields
from pipeline.host.execute import Rerun
from pipeline.host.limits import STAGES, Limit, Limits, Stage
from pipeline.host.placement_options import add_placement_options, check_shards, parse_gpus
from pipeline.host.report_options import Reporting, add_report_options, parse_reporting
from pipeline.options import (
    Options,
    add_hardware_options,
    add_run_option,
    add_workload_options,
    positive,
    require_utf8,
    settle_options,
)
from pipeline.plan import ANY_IMAGE

SECONDS_PER_MINUTE = 60
DEFAULT_BUDGET = 30
"""Minutes of --tune."""
NAMED_ACTIONS = ("explain", "explain_speed", "report", "bertscore", "import_from", "tune")
"""Options that say both what is to be done and to what."""
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


@dataclass(frozen=True)
class Arguments(Options):
    """The checked command line. command: as it was typed, for the report. all: no experiment is asked for by name."""

    command: str
    experiments: tuple[str, ...]
    articles: Path | None
    fields: FieldChoice
    launcher: str
    env: Env
    pull: bool
    registry: str | None
    variants: Mapping[str, str]
    label: str | None
    data: Path
    cache: Path
    results: Path
    action: str
    explain: str | None
    explain_speed: str | None
    tune: str | None
    budget: int
    report: tuple[str, ...]
    reporting: Reporting
    bertscore: str | None
    import_from: str | None
    all: bool
    fail_fast: bool
    rerun: Rerun
    launches: int
    shards: int
    limits: Limits
    gpus: Numbers
    exclusive: bool
    ray_address: str
    ray_resources: Mapping[str, float]
    ray_cache: Path | None
    json: bool


def results_folder(argv: Sequence[str]) -> Path:
    """What --results says, before the rest can be parsed: the presets in it are among the experiments' names."""
    default = Path("results")
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--results", type=Path, default=default)
    try:
        return Path(parser.parse_known_args(argv)[0].results)
    except argparse.ArgumentError:  # its value is missing, which the parser of everything says better
        return default


def parse(argv: Sequence[str], catalog: Catalog, launchers: Sequence[str]) -> Arguments:
    """Parse and check. argparse ends the program with status 2 for what it finds; other faults raise UsageError."""
    require_utf8(argv)
    given = build_parser(catalog, launchers).parse_args(argv)
    _settle_tuning(given, catalog)
    names = tuple(dict.fromkeys(given.experiment)) if given.experiment else _of_all(catalog, given.preset)
    named = [action for action in NAMED_ACTIONS if getattr(given, action) is not None]
    action = named[0] if named else given.action
    if action == "run" and not given.all and not given.experiment:
        raise UsageError(
            "nothing to run: name experiments with --experiment, or take --all; --list shows what there is"
        )
    if given.registry and not given.pull:
        raise UsageError("--registry names a mirror for --pull to take the images from; add --pull")
    if given.pull and given.launcher in ("process", "ray-process"):
        raise UsageError(
            f"--pull fetches container images, and --launcher {given.launcher} runs none; leave one of them out"
        )
    settle_cluster(given, action)
    if given.env == "current":
        _settle_current(given)
    settle_options(given, catalog, names)
    check_shards(given)
    model_option.require_one_model(action, given.models)
    if given.rerun == "fresh" and given.resume_documents:
        raise UsageError(
            "--fresh runs every job from its start, --resume-documents goes on in one; leave one of them out"
        )
    fields = {name: value for name, value in vars(given).items() if name in Arguments.__dataclass_fields__}
    folders = {name: getattr(given, name).resolve() for name in ("data", "cache", "results")}
    own = {
        "action": action,
        "variants": parse_variants(given.variant, catalog),
        "command": shlex.join(["python", "orchestrator.py", *argv]),
        "experiments": names,
        "all": given.all or not given.experiment,
        "gpus": parse_gpus(given.gpus),
        "limits": parse_limits(given.job_timeout, given.time_limit, given.idle_limit),
        "report": tuple(dict.fromkeys(given.report or ())),
        "reporting": parse_reporting(given, catalog, action),
        "fields": parse_fields(given),
    }
    return Arguments(**(fields | folders | own))


def _settle_tuning(given: argparse.Namespace, catalog: Catalog) -> None:
    """--tune runs one experiment in many forms; a UsageError for an option that would make it another question."""
    if given.tune is None:
        if given.budget is not None:
            raise UsageError("--budget is the time of --tune; leave it out, or say with --tune what is to be tuned")
        given.budget = DEFAULT_BUDGET
        return
    given.budget = given.budget or DEFAULT_BUDGET
    experiment = find(catalog.experiments, given.tune, "experiment")
    if given.all or given.experiment:
        option = "--all" if given.all else "--experiment"
        raise UsageError(f"{option}: --tune {given.tune} runs that experiment alone; leave one of them out")
    if experiment.tuned is not None:
        raise UsageError(f"--tune {given.tune}: was tuned already; tune {experiment.tuned.of}, which it was made of")
    if experiment.weights is None:
        raise UsageError(f"--tune {given.tune}: runs no model, so nothing in it is to be tuned")
    if given.preset is not None:
        raise UsageError("--preset reproduces published settings, --tune looks for others; leave one of them out")
    chosen = {"--batch-size": given.batch_size, "--find-batch-size": given.find_batch_size or None}
    for option, value in {**chosen, "--launches": given.launches if given.launches > 1 else None}.items():
        if value is not None:
            raise UsageError(f"{option}: --tune tries these itself, one launch each; leave it out")
    if given.rerun == "only-failed":
        raise UsageError("--only-failed: --tune keeps a trial that failed; leave it out, or take --fresh for all anew")
    if given.fail_fast:
        raise UsageError("--fail-fast: to --tune a trial that fails is a finding; leave it out")
    if given.resume_documents:
        raise UsageError("--resume-documents leaves the speed unknown, which --tune is after; leave it out")
    given.experiment = [given.tune]


def _settle_current(given: argparse.Namespace) -> None:
    """--env current leaves no choice of launcher or variant; a UsageError where one was made."""
    if given.launcher == "docker":
        raise UsageError(
            "--env current runs jobs in the interpreter at hand, --launcher docker in containers; leave one of them out"
        )
    if given.pull or given.variant:
        option = "--pull" if given.pull else "--variant"
        raise UsageError(f"{option} chooses what --env current does without; leave one of them out")
    given.launcher = "process"


def parse_variants(given: Sequence[str], catalog: Catalog) -> dict[str, str]:
    """--variant's values (NAME, or IMAGE=NAME) by image; a UsageError for an image or a variant that isn't there."""
    chosen: dict[str, str] = {}
    for value in given:
        image_name, _, name = value.rpartition("=")
        images = [find(catalog.images, image_name, "image")] if image_name else catalog.images.values()
        variants = {variant.name: variant for image in images for variant in image.variants}
        chosen[image_name or ANY_IMAGE] = find(variants, name, "variant").name
    return chosen


def parse_limits(job: int | None, total: Sequence[str], idle: Sequence[str]) -> Limits:
    """The limits of a job's time, in minutes as they were given ([STAGE=]MINUTES; 0 for none), over the defaults."""
    totals, idles = (
        DEFAULT_TIME_LIMITS | _by_stage(total, "--time-limit"),
        DEFAULT_IDLE_LIMITS | _by_stage(idle, "--idle-limit"),
    )
    stages = {stage: Limit(_seconds(totals[stage]), _seconds(idles[stage])) for stage in STAGES}
    return Limits(_seconds(job or 0), stages)


def _by_stage(given: Sequence[str], option: str) -> dict[Stage, int]:
    chosen: dict[Stage, int] = {}
    for value in given:
        name, _, minutes = value.rpartition("=")
        named = [stage for stage in STAGES if name in ("", stage)]
        if not named or not minutes.isdecimal():
            raise UsageError(f"{option} {value}: takes MINUTES or STAGE=MINUTES, STAGE one of {', '.join(STAGES)}")
        chosen |= dict.fromkeys(named, int(minutes))
    return chosen


def _seconds(minutes: int) -> float | None:
    return minutes * SECONDS_PER_MINUTE if minutes else None


def _of_all(catalog: Catalog, preset: str | None) -> tuple[str, ...]:
    if preset is not None:
        return find(catalog.presets, preset, "preset").experiments
    return tuple(name for name, experiment in catalog.experiments.items() if not experiment.by_name_only)


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
