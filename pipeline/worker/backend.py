"""The contract between the runner and an engine's adapter.

An adapter translates; it never reads a clock, never scores and never writes results. The runner calls, in this order:
create(setup), load(), encode() for all prompts, some at a time, compile_for() with what it will hand over together,
generate() one or more times, memory(), settings(), close().
"""

import importlib
from abc import abstractmethod
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.entries import Attention, Device, Sampling
from pipeline.lazy import Picked, ascending
from pipeline.worker.batches import Batches

OnStep = Callable[[Mapping[str, int]], None]
"""Called once per engine step with request id -> tokens added in this step, where the engine can tell cheaply.

A batch that failed and is run again takes back what it told: with minus as many tokens as it had added a request. So
the counts add up to the output's, and times are those of the attempt that the output is from.
"""


@dataclass(frozen=True)
class Setup:
    """What an adapter is given before loading.

    weights: the file or folder to open; None for an experiment without a model.
    dtype: float32, float16 or bfloat16. options: the experiment's own, in the engine's terms.
    batch_size: documents a step; None lets the engine decide.
    max_length: prompt plus new tokens of the longest request are at most this many; at most the model's context.
    eos_ids: the ids that end a completion, instead of whatever the checkpoint's own configuration says.
    batches: instead of batch_size for an engine that can change it once loaded (image.yaml: shrinks_batch), which then
    runs its batches through it; None stands for batch_size and no second attempt.
    allow_pickle: weights that are pickles alone may be opened; False where there are safetensors.
    sampling: how each next token is chosen, whatever the checkpoint's own configuration says. attention: the shape of
    the model's, for an engine that doesn't tell how large its KV cache is; None where it isn't known.
    """

    weights: Path | None
    device: Device
    dtype: str
    options: Mapping[str, Any]
    batch_size: int | None
    max_length: int
    eos_ids: tuple[int, ...]
    seed: int
    batches: Batches | None = None
    allow_pickle: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    attention: Attention | None = None


@dataclass(frozen=True)
class Request:
    """One document to summarise. prompt_ids: what the engine must be fed, exactly; empty where no model runs.

    prompt_sha256: of the prompt's text. full_length: generate max_new_tokens whatever ids come, with random weights
    and to see how large a batch fits; one request has it or all of them. seed: of what is drawn for it, where
    Setup.sampling draws; an engine that has one seed for several requests takes the first's.
    """

    id: str
    document: str
    prompt_ids: tuple[int, ...]
    max_new_tokens: int
    prompt_sha256: str | None = None
    full_length: bool = False
    seed: int = 0


class Requests(Sequence[Request]):
    """Requests that are read when they are taken."""

    @property
    @abstractmethod
    def prompt_lengths(self) -> "array[int]":
        """Of each, in tokens and in order."""


def prompt_lengths(requests: Sequence[Request]) -> "array[int]":
    """Of each, in tokens, without taking any where that can be told."""
    if isinstance(requests, Picked):
        lengths = prompt_lengths(requests.source)
        if requests.positions == range(len(lengths)):
            return lengths
        return array("I", (lengths[position] for position in requests.positions))
    if isinstance(requests, Requests):
        return requests.prompt_lengths
    return array("I", (len(request.prompt_ids) for request in requests))


def longest_first(requests: Sequence[Request]) -> Sequence[Request]:
    """The longest prompts first: batches are then of like length, and memory trouble shows at once. Takes none."""
    return Picked(requests, ascending(array("q", (-length for length in prompt_lengths(requests)))))


@dataclass(frozen=True)
class Completion:
    """A finished request.

    output_ids: the generated ids without the prompt, the end-of-sequence id included if one ended it (it cost a
    step); None where no model ran. text: the same, decoded, special tokens left out.
    finish_reason: stop (an end-of-sequence id) or length (the token limit).
    """

    id: str
    text: str
    output_ids: tuple[int, ...] | None
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class MemoryUse:
    """What the engine itself knows of its memory, in bytes; None for what it doesn't.

    kv_cache_bytes: the pool that it reserved as it was loaded or, where kv_cache_grows, the most that its cache came to
    hold since.
    """

    weights_bytes: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_grows: bool = False


@dataclass(frozen=True)
class Settings:
    """What was really used, as read back from the engine where it tells. engine_args: JSON values only.

    compile_s: the part of load() in which the engine says it compiled; None where it doesn't tell, 0 where it doesn't.
    What compile_for() takes is the runner's to time.
    cached_prompt_tokens: how many tokens of prompts it took from earlier requests, in all, instead of reading them;
    None where it can't tell. The runner refuses any, since a repeat would then time less work than the first.
    """

    dtype: str | None = None
    quantization: str | None = None
    attention: str | None = None
    batch_size_used: int | None = None
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    compile_s: float | None = None
    cached_prompt_tokens: int | None = None


class Backend(Protocol):
    """An engine behind an adapter."""

    def load(self) -> None:
        """Load weights and start the engine, up to being ready for a first request."""

    def encode(self, prompts: Sequence[str]) -> list[list[int]] | None:
        """Token ids of prompts by the model's own tokenizer, special tokens recognised; None where no model runs.

        Whether a beginning-of-sequence id is added does not matter: the runner makes sure of exactly one.
        """

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """Compile what the shapes of these requests need, which will be handed over together, before they are timed.

        Returns False in an engine that compiles as it loads or not at all. Called with the longest requests first;
        they are read as they are taken, as in generate.
        """

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        """Complete all requests, batched as the engine likes; yield each completion when it is finished.

        There may be a million, each of which is read as it is taken, by its index, from a slice or in a loop, which
        takes some microseconds. So take what the engine can work on, with as many waiting as keep it busy, take the
        next as others are finished, and keep none that is. prompt_lengths and longest_first take none.
        One that is taken must be completed; it may be taken again until it is.
        The same requests with the same seeds, handed over in the same way, get the same texts.
        """

    def memory(self) -> MemoryUse:
        """What the weights and the KV cache take."""

    def settings(self) -> Settings:
        """What was really used."""

    def close(self) -> None:
        """Free the device and end the engine's processes. Safe to call twice, and after a failed load."""


def create_backend(name: str, setup: Setup) -> Backend:
    """Import pipeline.worker.backends.<name> and create its adapter, not loaded yet."""
    module = importlib.import_module(f"pipeline.worker.backends.{name}")
    backend: Backend = module.create(setup)
    return backend
