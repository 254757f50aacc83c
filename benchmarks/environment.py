"""The environment that a job of the process launcher ran in, to measure its engine there once more."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.catalog import find, load_catalog
from pipeline.current import CURRENT_VARIANTS, in_environment
from pipeline.host.environments import process_environment, python_of
from pipeline.spec import Job


def environment_of(job: Job, cache: Path) -> tuple[Path, Mapping[str, str]]:
    """The job's interpreter, and all variables of a process there. A UsageError names a variant that there isn't."""
    env = "current" if job.variant in CURRENT_VARIANTS.values() else "own"
    image = in_environment(load_catalog(), env).images[job.image]
    variant = find({item.name: item for item in image.variants}, job.variant, f"variant of image {image.name}")
    return python_of(cache, image, variant), process_environment(cache, image, variant, network=False)
