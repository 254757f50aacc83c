"""The orchestrator's command line, checked: what its options come to, and which contradict each other."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.catalog import Catalog, find
from pipeline.current import Env
from pipeline.errors import UsageError
from pipeline.hardware import Numbers
from pipeline.host import model_option
from pipeline.host.cluster.options import settle_cluster
from pipeline.host.dataset_options import FieldChoice, parse_fields
from pipeline.host.execute import Rerun
from pipeline.host.limits import STAGES, Limit, Limits, Stage
from pipeline.host.parser import DEFAULT_BUDGET, DEFAULT_IDLE_LIMITS, DEFAULT_TIME_LIMITS, build_parser
from pipeline.host.placement_options import check_shards, parse_gpus
from pipeline.host.report_options import Reporting, parse_reporting
from pipeline.options import Options, require_utf8, settle_options
from pipeline.plan import ANY_IMAGE

SECONDS_PER_MINUTE = 60
NAMED_ACTIONS = ("explain", "explain_speed", "report", "bertscore", "import_from", "tune")
"""Options that say both what is to be done and to what."""


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
