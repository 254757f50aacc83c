"""The worker's command line: what to do, the options that it shares with the orchestrator's, and its help."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.bertscore import read_scorer
from pipeline.catalog import Catalog
from pipeline.errors import UsageError
from pipeline.hardware import CPU
from pipeline.options import (
    Options,
    add_hardware_options,
    add_run_option,
    add_workload_options,
    require_utf8,
    settle_options,
)
from pipeline.worker.runner import Roots
from pipeline.worker.surroundings import Surroundings

EXAMPLES = """\
folders: /data holds datasets, such as a file of your own (one JSON object a line: id, document, summary); /cache holds
models and is written by --prepare alone; /results gets a folder for each run.

examples (IMAGE is this image's name):
  mkdir -p data cache results
{prepare}{act}\
  docker run --rm {gpus}--network none IMAGE --self-check

exit status: 0 done; 1 the experiment failed or can't run here, result.json says why; 2 bad usage; 130 interrupted.
"""
PREPARE = """\
  docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/data:/data:ro" -v "$PWD/cache:/cache" \\
    {token}{image} --prepare {model}
"""
ACT = """\
  docker run --rm {gpus}--network none --user "$(id -u):$(id -g)" \\
    -v "$PWD/data:/data:ro" -v "$PWD/cache:/cache:ro" -v "$PWD/results:/results" \\
    IMAGE {action}
"""
TOKEN = '-v "$HOME/.cache/huggingface/token:/token:ro" -e HF_TOKEN_PATH=/token '


@dataclass(frozen=True)
class WorkerArguments:
    """The checked command line. job, experiment: set for the action of that name.

    measure: of --self-check.
    model, form: of --prepare; None takes the default model, and all formats that this image makes of real weights.
    """

    action: Literal["experiment", "job", "prepare", "self_check", "bertscore"]
    experiment: str | None
    job: Path | None
    model: str | None
    form: str | None
    bertscore: str | None
    options: Options
    roots: Roots
    measure: bool = False


def parse(argv: Sequence[str], catalog: Catalog, surroundings: Surroundings | None) -> WorkerArguments:
    """Parse and check. argparse ends the program with status 2 for what it finds; other faults raise UsageError."""
    require_utf8(argv)
    given = build_parser(catalog, surroundings).parse_args(argv)
    settle_options(given, catalog, [given.experiment] if given.experiment is not None else [])
    if given.form is not None and given.prepare is None:
        raise UsageError("--format: belongs to --prepare; an experiment reads the format that it is made for")
    if len(given.models) > 1:
        raise UsageError(f"--model {given.models[1]}: an image alone runs one model at a time; leave one of them out")
    if given.measure and not given.self_check:
        raise UsageError("--measure: belongs to --self-check; a job measures its device by itself")
    return WorkerArguments(
        action=_action(given),
        experiment=given.experiment,
        job=given.job,
        model=given.prepare or next(iter(given.models), None),
        form=given.form,
        bertscore=given.bertscore,
        options=Options(**{name: getattr(given, name) for name in Options.__dataclass_fields__}),
        roots=Roots(given.data, given.cache, given.results),
        measure=given.measure,
    )


def _action(given: argparse.Namespace) -> Literal["experiment", "job", "prepare", "self_check", "bertscore"]:
    if given.experiment is not None:
        return "experiment"
    if given.job is not None:
        return "job"
    if given.bertscore is not None:
        return "bertscore"
    return "prepare" if given.prepare is not None else "self_check"


def build_parser(catalog: Catalog, surroundings: Surroundings | None) -> argparse.ArgumentParser:
    """The parser, with what this image has in its help."""
    parser = argparse.ArgumentParser(
        prog="docker run … IMAGE" if surroundings and surroundings.launcher == "docker" else "python -m pipeline",
        description="Run one experiment over documents, score its summaries and print one row; "
        "the whole result goes to the results folder." + _description(surroundings),
        epilog=_examples(catalog, surroundings) if surroundings else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_actions(parser, catalog, surroundings)
    add_hardware_options(parser.add_argument_group("hardware and model"), catalog)
    add_workload_options(
        parser.add_argument_group("workload"), catalog, "a dataset's name, or a JSONL file in the data folder"
    )
    group = parser.add_argument_group("the run and its folders")
    add_run_option(group, "the orchestrator reports over all that a run holds")
    for name in ("data", "cache", "results"):
        default = Path(os.environ.get(f"BENCHMARK_{name.upper()}", f"/{name}"))
        group.add_argument(f"--{name}", type=Path, default=default, metavar="DIR", help="default: %(default)s")
    return parser


def _add_actions(parser: argparse.ArgumentParser, catalog: Catalog, surroundings: Surroundings | None) -> None:
    group = parser.add_argument_group("what to do")
    what = group.add_mutually_exclusive_group(required=True)
    names = [item.name for item in surroundings.experiments(catalog)] if surroundings else list(catalog.experiments)
    runs = f"run it: {', '.join(names)}" if names else argparse.SUPPRESS
    what.add_argument("--experiment", metavar="NAME", help=runs)
    what.add_argument(
        "--prepare",
        nargs="?",
        const="",
        metavar="MODEL",
        help="fetch or make a model's weights in the cache; the one action that needs network",
    )
    what.add_argument("--self-check", action="store_true", help="check that device, engine and kernels work here")
    what.add_argument(
        "--job", type=Path, metavar="FILE", help="run the job of this file, as the orchestrator does; see --results"
    )
    what.add_argument(
        "--bertscore", metavar="RUN", help="score a finished run's summaries, in the image that is for it"
    )
    group.add_argument(
        "--measure",
        action="store_true",
        help="with --self-check, also what the device moves and computes at best, beside the vendor's figures",
    )
    group.add_argument(
        "--format", dest="form", metavar="NAME", help="with --prepare this one of the weights alone, such as hf or awq"
    )


def _description(surroundings: Surroundings | None) -> str:
    if surroundings is None:
        return ""
    image, variant = surroundings.image, surroundings.variant
    return f"\nThis is image {image.name}, variant {variant.name}: {image.description}."


def _examples(catalog: Catalog, surroundings: Surroundings) -> str:
    on_gpu = surroundings.variant.device == "cuda"
    gpus = "--gpus all " if on_gpu else ""
    own = surroundings.experiments(catalog)
    prepare, action = "", None
    if own:
        action = f"--experiment {own[0].name} --gpu {'auto' if on_gpu else CPU} --dataset articles.jsonl --docs 20"
    elif surroundings.image.name == (scorer := read_scorer()).image:
        prepare, action = PREPARE.format(token="", image="IMAGE", model=scorer.model), "--bertscore RUN"
    if any(item.weights for item in own) or action is None:
        prepare = _prepare_example(catalog, surroundings)
    act = ACT.format(gpus=gpus, action=action) if action else ""
    return EXAMPLES.format(prepare=prepare, act=act, gpus=gpus)


def _prepare_example(catalog: Catalog, surroundings: Surroundings) -> str:
    """How the default model gets into the cache: by this image, or by the one that makes its weights."""
    model = catalog.models[catalog.defaults[surroundings.variant.device].model]
    makers = [source.image for source in model.weights.values() if source.image]
    own = surroundings.image.name in makers
    gated = any(source.gated for source in model.weights.values())
    image = "IMAGE" if own else f"IMAGE_OF_{makers[0].upper()}"
    return PREPARE.format(token=TOKEN if gated else "", image=image, model=model.name)
