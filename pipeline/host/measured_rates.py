"""The device's rates that a command's jobs measured, for those after them: measuring takes a second of each job."""

from dataclasses import dataclass, field, replace

from pipeline.entries import Rates
from pipeline.results import Result
from pipeline.spec import Job

Kind = tuple[str, str, str, int]
"""What rates of arithmetic depend on beside the device, which is one for all jobs of a command: the environment, the
dtype and the bits of the products. The bandwidth of its memory depends on the device alone."""


@dataclass
class MeasuredRates:
    """Filled job by job."""

    by_kind: dict[Kind, Rates] = field(default_factory=dict)
    bandwidth_bytes_per_s: float | None = None

    def told(self, job: Job) -> Job:
        """The job with what is known of its kind."""
        kind = _kind(job)
        if kind is None:
            return job
        host = replace(job.host, rates=self.by_kind.get(kind), bandwidth_bytes_per_s=self.bandwidth_bytes_per_s)
        return replace(job, host=host)

    def note(self, job: Job, result: Result) -> None:
        """Keep what a job measured."""
        kind, rates = _kind(job), result.environment.rates
        if kind is not None and rates is not None:
            self.by_kind.setdefault(kind, rates)
            self.bandwidth_bytes_per_s = self.bandwidth_bytes_per_s or rates.bandwidth_bytes_per_s


def _kind(job: Job) -> Kind | None:
    """None for a job without a model, which has no use for rates."""
    return (job.image, job.variant, job.dtype, job.precision.arithmetic_bits) if job.precision else None
