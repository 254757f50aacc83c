"""The environment that a job of the process launcher ran in, to measure its engine there once more."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.catalog import find, load_catalog
from pipeline.current import env_of, in_environment
from pipeline.errors import UsageError
from pipeline.host.environments import process_environment, python_of
from pipeline.job_folder import JOB_FILE
from pipeline.jobs import lock_sha256
from pipeline.spec import Job


def newest_job(run: Path, experiment: str) -> Path:
    """The job file of the run's latest `offline` job of that experiment; a UsageError where there is none."""
    paths = list(run.glob(f"{experiment}.*offline*/{JOB_FILE}"))
    if not paths:
        raise UsageError(f"{run}: no job of {experiment} in offline; run it first")
    return max(paths, key=lambda path: path.stat().st_mtime)


def environment_of(job: Job, cache: Path) -> tuple[Path, Mapping[str, str]]:
    """The job's interpreter, and all variables of a process there.

    A UsageError names a variant that there isn't, or an environment whose packages are no longer the job's.
    """
    image = in_environment(load_catalog(), env_of(job.variant)).images[job.image]
    variant = find({item.name: item for item in image.variants}, job.variant, f"variant of image {image.name}")
    if lock_sha256(image, variant) != job.lock_sha256:
        raise UsageError(f"{job.experiment}: {job.variant} has other packages than its job ran with; run that again")
    return python_of(cache, image, variant), process_environment(cache, image, variant, network=False)
