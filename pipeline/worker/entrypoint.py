"""The worker's command line: run an experiment or a job file, prepare a model's weights, check the image."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from pipeline.catalog import Catalog, under_preset, with_weights
from pipeline.errors import BenchmarkError, UsageError
from pipeline.figures import printable
from pipeline.machine import process_age_s
from pipeline.own_models import with_own_models
from pipeline.progress import NO_READING, Reading, format_progress, progress_line
from pipeline.redact import redact
from pipeline.results import Phase
from pipeline.worker.arguments import WorkerArguments, parse
from pipeline.worker.ending import end_on_sigterm, end_with_parent
from pipeline.worker.job import run_job_file
from pipeline.worker.surroundings import Surroundings, enter, read_surroundings, require_surroundings


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 done, 1 the job failed or was skipped (its result says why), 2 bad usage, 130 interrupted.

    143 asked to end (SIGTERM), or left behind by the launcher that started it.
    """
    end_on_sigterm()
    end_with_parent()
    ask_nobody()
    try:
        catalog, surroundings = read_surroundings()
        arguments = parse(argv, catalog, surroundings)
        enter(surroundings, network=arguments.action == "prepare")
        if arguments.action in ("prepare", "experiment"):  # a job's file holds all that it has to know of its model
            catalog = with_own_models(catalog, arguments.roots.cache)
        return act(arguments, catalog, surroundings)
    except BenchmarkError as error:
        print(f"error: {redact(printable(str(error)))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def ask_nobody() -> None:
    """Take standard input away: at a terminal transformers would offer to run the code that a model brings."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def act(arguments: WorkerArguments, catalog: Catalog, surroundings: Surroundings | None) -> int:
    """Do what the command line says, in an environment that is set already. What a job has no use for is imported by
    those that have, since every job would pay for it."""
    roots = arguments.roots
    if arguments.job is not None:
        result = run_job_file(roots.results / arguments.job, roots, _print_progress, process_age_s())
        return 0 if result.status == "ok" else 1
    if arguments.action == "prepare":
        return prepare(arguments, catalog, surroundings)
    here = require_surroundings(surroundings)
    if arguments.bertscore is not None:
        from pipeline.worker.bertscore import score_run

        return score_run(arguments.bertscore, catalog, here, roots)
    if arguments.experiment is not None:
        from pipeline.worker.standalone import Standalone

        known = with_weights(under_preset(catalog, arguments.options.preset), arguments.options.weights)
        return Standalone(known, here, roots).run(arguments.experiment, arguments.options)
    from pipeline.worker import self_check  # brings what no job needs

    experiments, converters = here.experiments(catalog), here.converters(catalog)
    return self_check.run(here.image, here.variant, experiments, converters, measured=arguments.measure)


def prepare(arguments: WorkerArguments, catalog: Catalog, surroundings: Surroundings | None) -> int:
    """Fill the cache and say with what."""
    from pipeline.bertscore import read_scorer
    from pipeline.worker.prepare import prepare_model

    roots = arguments.roots
    model = arguments.model or catalog.defaults[require_surroundings(surroundings).variant.device].model
    image = surroundings.image.name if surroundings else None
    allowed = arguments.options.allow_pickle
    known = replace(catalog, models={**read_scorer().catalog(catalog).models, **catalog.models})
    made = prepare_model(known, model, arguments.form, image, roots.cache, roots.data, allowed)
    for form, weights in made.items():
        print(f"{model} {form}: {roots.cache / weights.path}")
    return 0


def _print_progress(phase: Phase, done: int, total: int, reading: Reading = NO_READING, /) -> None:
    # in one piece, since it also comes from a thread
    sys.stdout.write(format_progress(progress_line(phase, done, total, reading)) + "\n")
    sys.stdout.flush()
