"""What is run: a workload, a job over it, what a plan says of it, and what a check of the machine found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.entries import Attention, Device, Prompt, Rates, Sampling, Scenario, Tuned
from pipeline.names import Identifier, ImageName, Name, RelativePath, Sha256

OnOutOfMemory = Literal["shrink", "fail"]
"""What a batch that runs out of memory does. shrink: it is halved and goes on. fail: it ends the job."""


MOST_REPEATS = 1000
"""Of the timed section in one job; more samples are had from more launches."""


@dataclass(frozen=True)
class Workload:
    """What is summarised and how, the same for all experiments of a run.

    documents: a JSONL file relative to the data folder. documents_sha256: over the chosen documents, not the file.
    """

    dataset: Name
    documents: RelativePath
    documents_sha256: Sha256
    docs: int
    seed: int
    prompt: Prompt
    max_new_tokens: int


@dataclass(frozen=True)
class Shard:
    """A part of a workload: every `of`-th of its documents, from the `number`-th (from 1) on, whatever their order."""

    number: int
    of: int

    def positions(self, docs: int) -> range:
        """Where its documents stand among so many."""
        return range(self.number - 1, docs, self.of)


@dataclass(frozen=True)
class JobWeights:
    """The weights of a job: a file or folder relative to the cache folder, and how they came about.

    perplexity, perplexity_original: of these weights and of those they were made from, on the same held-out text;
    None where they were not made here. pickled: they are pickles alone.
    """

    format: Name
    path: RelativePath
    kind: Literal["real", "rtn", "synthetic"]
    revision: str
    sha256: Sha256
    made_by: str | None = None
    perplexity: float | None = None
    perplexity_original: float | None = None
    pickled: bool = False


@dataclass(frozen=True)
class JobModel:
    """What a job needs to know of its model (see Model); the sizes of its parts are for the bound on its speed."""

    name: Name
    context_length: int
    eos_ids: tuple[int, ...]
    bos_id: int | None
    prompt_prefix: str
    prompt_suffix: str
    linear_parameters: int | None = None
    output_parameters: int | None = None
    attention: Attention | None = None


@dataclass(frozen=True)
class JobGpu:
    """The hardware that a job was planned for. name: as --gpu takes it; found: the device's own name.

    rates: as listed by the vendor; None for a CPU, and for a GPU that isn't listed.
    """

    name: Name
    found: str
    device: Device
    rates: Rates | None = None


@dataclass(frozen=True)
class Precision:
    """Bits of what a job reads and computes with: a parameter of the linear layers, scales included; a parameter of the
    output layer; a cached value; the linear layers' products."""

    weight_bits: float
    output_bits: float
    kv_bits: float
    arithmetic_bits: Literal[8, 16]


@dataclass(frozen=True)
class HostFacts:
    """What only the host can tell, recorded beside the result and never part of the key.

    compile_cache: whether an earlier job left compiled kernels for this environment. command: the number, in run.json,
    of the command that ran the job; None for an image that was run alone. rates, bandwidth_bytes_per_s: what an earlier
    job of the same command measured on the same device, so that this one need not: the first in the same environment
    and dtype, the second in any; None where none did.
    """

    os: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    image_digest: str | None = None
    compile_cache: Literal["cold", "warm"] | None = None
    command: int | None = None
    rates: Rates | None = None
    bandwidth_bytes_per_s: float | None = None


@dataclass(frozen=True)
class Job:
    """One experiment × model × workload on one GPU: all that a worker needs, and job.json's content.

    key: SHA-256 over what decides the outcome; the results folder carries its first eight digits.
    folder: the job's folder, relative to the results folder. batch_size: None where the engine batches by itself.
    find_batch_size: search the largest that fits, from batch_size on. resume_documents: go on from the documents that
    an earlier attempt left; no part of the key, so that the command finds the job that it interrupted. remarks: what
    the engine can't do of what was asked, for the result to repeat as warnings; no part of the key either.
    allow_pickle: open weights that are pickles alone. launch: the number of this start of it, from 1, each in a fresh
    process. repeats: how often the timed section runs in it. preset: of published settings that it reproduces.
    tuned: see Experiment. precision: None without a model. gpus: how many it computes on; none on a CPU. shards: into
    how many jobs it is split; shard: which of them this is, None for the one that is made of them, and for a job that
    is not split.
    """

    schema_version: int
    key: Sha256
    run: Name
    folder: RelativePath
    experiment: Name
    optimization: str
    ranked: bool
    backend: Identifier
    image: ImageName
    variant: Name
    launcher: Name
    scenario: Scenario
    launch: int
    dtype: str
    options: Mapping[str, Any]
    batch_size: int | None
    gpu: JobGpu
    model: JobModel | None
    weights: JobWeights | None
    workload: Workload
    lock_sha256: Sha256
    code_sha256: Sha256
    on_oom: OnOutOfMemory = "fail"
    find_batch_size: bool = False
    resume_documents: bool = False
    remarks: tuple[str, ...] = ()
    allow_pickle: bool = False
    repeats: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    preset: Name | None = None
    tuned: Tuned | None = None
    precision: Precision | None = None
    shards: int = 1
    shard: Shard | None = None
    host: HostFacts = HostFacts()
    gpus: int = 0

    @property
    def docs(self) -> int:
        """How many documents are its own."""
        return len(self.shard.positions(self.workload.docs)) if self.shard else self.workload.docs

    @property
    def synthetic(self) -> bool:
        """Whether its weights are random: every document is then given all its new tokens, and no output is scored."""
        return self.weights is not None and self.weights.kind == "synthetic"


@dataclass(frozen=True)
class PlanRow:
    """One experiment of a plan. model: None for one without.

    reason: why it is skipped, or what it can't do of what was asked.
    variant_reason: why in this variant. to_prepare: what has to be made or fetched first. earlier: the status that an
    earlier command left for this very job; None where there is none or, before the weights are prepared, none can be
    told. launches: how many jobs it is; kept: those of them that an earlier command left done. Where it left several,
    earlier is of the first that isn't ok.
    """

    experiment: str
    action: Literal["run", "skip", "keep"]
    model: str | None = None
    reason: str | None = None
    image: str | None = None
    variant: str | None = None
    variant_reason: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    to_prepare: tuple[str, ...] = ()
    earlier: str | None = None
    launches: int = 1
    kept: int = 0


CheckStatus = Literal["pass", "warn", "fail", "skip", "unknown"]
"""skip: does not apply here. unknown: can't be told."""


@dataclass(frozen=True)
class Check:
    """One line of what --doctor found. check: the kind. subject: what was looked at. mend: what to do about it.

    stops: the experiments that can't work while it fails.
    """

    check: str
    subject: str
    status: CheckStatus
    message: str
    mend: str | None = None
    stops: tuple[str, ...] = ()
