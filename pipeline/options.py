"""The options that the orchestrator's and the worker's command lines share: one definition, one help, one check."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.catalog import SYNTHETIC, Catalog, WeightsKind, find
from pipeline.entries import Preset, Scenario
from pipeline.errors import UsageError
from pipeline.hardware import AUTO, CPU
from pipeline.names import check_name
from pipeline.plain import shown
from pipeline.spec import MOST_REPEATS, OnOutOfMemory

DEFAULT_DOCS = 100
LARGEST_NUMBER = 2**31 - 1
DEFAULT_MAX_NEW_TOKENS = 300
DEFAULT_SCENARIO: Scenario = "offline"


@dataclass(frozen=True)
class Options:
    """What decides the jobs of a command besides its experiments. None stands for "not said".

    models: in their order, each once; empty for the device's default.
    """

    gpu: str
    force_gpu: bool
    models: tuple[str, ...]
    weights: WeightsKind
    dataset: str | None
    docs: int | None
    seed: int
    scenario: Scenario
    max_new_tokens: int
    batch_size: int | None
    find_batch_size: bool
    on_oom: OnOutOfMemory | None
    prompt: str | None
    run: str | None
    allow_pickle: bool
    resume_documents: bool
    repeats: int
    preset: str | None


def settle_options(given: argparse.Namespace, catalog: Catalog, experiments: Sequence[str]) -> None:
    """Fill in what wasn't said of the workload, by the preset or else the defaults, and check the options.

    --model's values become `models`, each once.

    experiments: that are to run. A UsageError names the option, what contradicts it, and the mend.
    """
    defaults = {"prompt": None, "scenario": DEFAULT_SCENARIO, "max_new_tokens": DEFAULT_MAX_NEW_TOKENS}
    if given.preset is not None:
        preset = find(catalog.presets, given.preset, "preset")
        defaults = {name: getattr(preset, name) for name in defaults}
        _check_against(preset, given, defaults, experiments)
    for name, value in defaults.items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    given.models = tuple(dict.fromkeys(given.model))
    _check(given)


def _check_against(
    preset: Preset, given: argparse.Namespace, fixed: Mapping[str, Any], experiments: Sequence[str]
) -> None:
    for name, value in fixed.items():
        asked, option = getattr(given, name), f"--{name.replace('_', '-')}"
        if asked not in (None, value):
            raise UsageError(f"{option} {asked}: --preset {preset.name} sets {option} {value}; leave one of them out")
    for experiment in experiments:
        if experiment not in preset.experiments:
            raise UsageError(
                f"--experiment {experiment}: --preset {preset.name} holds for {', '.join(preset.experiments)}; "
                "take one of those, or leave --preset out"
            )


def _check(given: argparse.Namespace) -> None:
    if given.run is not None:
        check_name(given.run, "--run")
    if given.scenario == "single" and given.batch_size not in (None, 1):
        raise UsageError(f"--batch-size {given.batch_size}: scenario single runs one document at a time; leave it out")
    if given.find_batch_size and given.scenario == "single":
        raise UsageError("--find-batch-size: scenario single runs one document at a time; take --scenario offline")
    if given.find_batch_size and given.batch_size is not None:
        raise UsageError(f"--batch-size {given.batch_size}: --find-batch-size looks for it; leave one of them out")
    if given.repeats > 1 and given.resume_documents:
        raise UsageError(
            f"--repeats {given.repeats}: a job that goes on from an interrupted one has no speed to repeat; leave out "
            "--resume-documents or --repeats"
        )


def add_hardware_options(
    group: argparse._ArgumentGroup, catalog: Catalog, model_forms: str = "NAME", also: str = ""
) -> None:
    """--gpu, --force-gpu, --model, --weights and --allow-pickle.

    model_forms, also: what --model takes here, in short, and in words after the names of the catalogue.
    """
    group.add_argument(
        "--gpu", default=AUTO, metavar="NAME", help=f"{AUTO} (default), {CPU}, or one of {', '.join(catalog.gpus)}"
    )
    group.add_argument(
        "--force-gpu", action="store_true", help="take --gpu's word although it contradicts the GPU found"
    )
    defaults = ", ".join(f"{entry.model} on {device}" for device, entry in catalog.defaults.items())
    group.add_argument(
        "--model",
        action="append",
        default=[],
        metavar=model_forms,
        help=f"{', '.join(catalog.models)}{also} (default: {defaults})",
    )
    group.add_argument(
        "--weights",
        default="real",
        choices=["real", SYNTHETIC],
        help="synthetic: random ones of the model's true shape, made here; for speed, memory and energy with no access "
        "to the real ones; every document gets all its new tokens, and quality stays unknown (default: %(default)s)",
    )
    group.add_argument(
        "--allow-pickle",
        action="store_true",
        help="fetch and open weights that are pickles alone, which can run code; the result says so",
    )


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
        "--seed", type=seed, default=0, metavar="N", help="of the choice of documents (default: %(default)s)"
    )
    group.add_argument(
        "--scenario",
        choices=["offline", "single"],
        help=f"offline: all documents handed over at once; single: one at a time (default: {DEFAULT_SCENARIO})",
    )
    group.add_argument("--max-new-tokens", type=positive, metavar="N", help=f"default: {DEFAULT_MAX_NEW_TOKENS}")
    group.add_argument(
        "--batch-size", type=positive, metavar="N", help="documents a step (default: each experiment's own)"
    )
    group.add_argument(
        "--find-batch-size",
        action="store_true",
        help="before the warm-up, search the largest batch that fits and run at it, where the engine can change it",
    )
    group.add_argument(
        "--on-oom",
        choices=["shrink", "fail"],
        help="a batch that runs out of memory is halved and goes on, or fails (default: shrink where the engine can)",
    )
    group.add_argument("--prompt", metavar="NAME", help=f"{', '.join(catalog.prompts)} (default: the model's own)")
    group.add_argument(
        "--preset",
        metavar="NAME",
        help=f"reproduce published settings (prompt, scenario, sampling, limits, dtype), unranked: "
        f"{', '.join(catalog.presets)}",
    )
    group.add_argument(
        "--repeats",
        type=partial(positive, most=MOST_REPEATS),
        default=1,
        metavar="N",
        help="time the documents so often in one process, after one warm-up; speed is the mean (default: %(default)s)",
    )


def add_run_option(group: argparse._ArgumentGroup, again: str) -> None:
    """--run and --resume-documents. again: what the same name does a second time."""
    group.add_argument("--run", metavar="NAME", help=f"name of the run; {again}")
    group.add_argument(
        "--resume-documents",
        action="store_true",
        help="keep each document safe as it is finished, and of an interrupted job do only those that are missing; a "
        "job that went on so has no speed (default: it starts again)",
    )


def positive(text: str, most: int = LARGEST_NUMBER) -> int:
    """A whole number above 0, for argparse."""
    return _whole(text, 1, "above 0", most)


def seed(text: str) -> int:
    """A whole number from 0 that every engine takes as a seed, for argparse."""
    return _whole(text, 0, "from 0", LARGEST_NUMBER)


def _whole(text: str, least: int, words: str, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number {words} (and at most {most})")
    return value


def require_utf8(argv: Sequence[str]) -> None:
    """Raise UsageError for words of a command line that are not UTF-8, which no file here could record."""
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{word!r}: not UTF-8; rename the file, or type the option in UTF-8") from error
