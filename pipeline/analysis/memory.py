"""How much memory an experiment takes, before it is started: weights, KV cache and what comes on top.

Held against measured figures in tests/analysis/test_memory.py, which says how far it is from them.
"""

import math
from dataclasses import dataclass

from pipeline.entries import Attention, Device, Footprint, Model, Prompt, WeightsSource

BITS_PER_BYTE = 8
HALF_BITS = 16
DTYPE_BITS = {"float32": 32, "bfloat16": 16, "float16": 16}

BYTES_PER_TOKEN = 3.5
"""Fewer than any article of the bundled sample has: 3.8 to 4.4 with a SentencePiece vocabulary of 32,000 tokens, 4.2 to
4.6 with Gemma's of 262,144. English only; other languages come to fewer."""

CACHE_COPIES = 0.05
"""Beside a cache that grows: copies of a layer's keys and values as they are extended, and activations. Measured with
Llama-2-7b's shape on an H100: 1 % at 16 documents a step, 4 % at 64."""

CONTEXT_BYTES = 512 * 1024**2
"""What the driver and the libraries take for themselves: an assumption, seen between 0.3 and 0.6 GiB."""


@dataclass(frozen=True)
class Lengths:
    """Tokens of the longest request, its answer included. likely: for English. bound: it can't be longer."""

    likely: int
    bound: int


@dataclass(frozen=True)
class Estimate:
    """Memory of one experiment, in bytes.

    kv_cache_bytes: None where the documents are not known. least_bytes: with less it can't run at all: the weights,
    and for an engine that reserves room from the start, that room for the longest request.
    """

    weights_bytes: int
    kv_cache_bytes: int | None
    least_bytes: int
    gpu_share: float = 1.0

    @property
    def likely_bytes(self) -> int:
        """All of it, what comes on top included."""
        return self.weights_bytes + (self.kv_cache_bytes or 0) + CONTEXT_BYTES


def lengths(longest_document_bytes: int, prompt: Prompt, model: Model, max_new_tokens: int) -> Lengths:
    """Of a workload's longest request, before a tokenizer is at hand. A token is at least one byte."""
    around = len(f"{model.prompt_prefix}{prompt.template}{model.prompt_suffix}".encode())
    size = longest_document_bytes + around
    tokens = [1 + math.ceil(size / BYTES_PER_TOKEN) + max_new_tokens, 1 + size + max_new_tokens]
    likely, bound = (min(count, model.context_length) for count in tokens)
    return Lengths(likely, bound)


def estimate(
    model: Model,
    source: WeightsSource,
    footprint: Footprint,
    dtype: str,
    batch_size: int | None,
    longest: Lengths | None,
    device: Device,
    opened_bytes: int | None = None,
    devices: int = 1,
) -> Estimate | None:
    """The memory that an experiment takes; None where models.yaml doesn't know the model's shape.

    devices: over how many the weights and the cache are split evenly; the estimate is for one of them.

    opened_bytes: of the weights' files where they are there (see weights.opened_bytes). longest: None for documents
    that are not there yet.
    """
    whole = weights_bytes(model, source, footprint, dtype, opened_bytes)
    if whole is None or model.attention is None:
        return None
    weights = whole // devices
    bits = footprint.kv_bits or DTYPE_BITS[dtype]
    share = footprint.gpu_share if device == "cuda" else 1.0
    if longest is None:
        return Estimate(weights, None, weights, share)
    rows = batch_size or 1
    one = kv_cache_bytes(model.attention, longest.bound, bits) // devices
    if footprint.kv_cache == "pool":
        return Estimate(weights, one, weights + one, share)
    if footprint.kv_cache == "slots":
        return Estimate(weights, rows * one, weights + one, share)
    grown = rows * kv_cache_bytes(model.attention, longest.likely, bits) // devices
    return Estimate(weights, round(grown * (1 + CACHE_COPIES)), weights, share)


def weights_bytes(
    model: Model, source: WeightsSource, footprint: Footprint, dtype: str, opened_bytes: int | None = None
) -> int | None:
    """Of the loaded weights. Quantised ones keep their files' size; others take the dtype's, but for the linear layers
    that the engine quantises as it loads them."""
    if source.bits is not None:
        return opened_bytes or files_bytes(model, source)
    whole = DTYPE_BITS[dtype]
    if footprint.weight_bits is None:
        return model.parameters * whole // BITS_PER_BYTE
    return _mixed_bytes(model, footprint.weight_bits, whole)


def files_bytes(model: Model, source: WeightsSource) -> int | None:
    """Of weights that are not there yet, on the disk: as listed, else 16 bits a parameter or the source's bits in the
    linear layers; None where neither is known."""
    if source.size_gb is not None:
        return round(source.size_gb * 1e9)
    return _mixed_bytes(model, source.bits or HALF_BITS, HALF_BITS)


def kv_cache_bytes(attention: Attention, tokens: int, bits: float) -> int:
    """Keys and values of that many tokens of one request: 2 x layers x heads x dimension values a token.

    A layer with a window keeps no more than its window.
    """
    layers = attention.layers - attention.windowed_layers
    kept = layers * tokens + attention.windowed_layers * min(tokens, attention.window)
    return round(2 * kept * attention.kv_heads * attention.head_dim * bits / BITS_PER_BYTE)


def _mixed_bytes(model: Model, linear_bits: float, other_bits: int) -> int | None:
    """Linear layers in the one, all other parameters in the other."""
    linear = model.linear_parameters
    if linear is None:
        return None
    return round((linear * linear_bits + (model.parameters - linear) * other_bits) / BITS_PER_BYTE)
