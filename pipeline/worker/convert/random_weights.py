"""Checkpoints of random weights in a model's true shape, for its speed and memory where its weights can't be had.

Tensors are those that transformers has for the architecture, so that any of its models can be made; the numbers are the
same on every machine. A tokenizer of another model stands in, whose ids are the lowest of the vocabulary.
"""

import copy
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.entries import Model
from pipeline.errors import BenchmarkError
from pipeline.files import CHUNK_BYTES, sha256_json

DTYPE = "bfloat16"
DEVIATION = 0.02
"""Of the matrices' numbers: what transformers initialises Llama, Mistral and Gemma with."""
SHARD_BYTES = 4 << 30
WRITTEN_FOR = "5.0.0"
"""The oldest transformers of which its own checkpoints look so. Without a version it warns of a broken tokenizer."""
CHUNK = CHUNK_BYTES
"""So many numbers are drawn by one generator, whatever the number of threads."""

Shape = tuple[int, ...]
Tensors = Mapping[str, Callable[[], Any]]
"""What makes each tensor of a checkpoint, by name; called one after another, so that a shard at a time is held."""


def write(
    source: Path, target: Path, model: Model, tensors: Callable[[str, Shape], Tensors], extra: Mapping[str, Any]
) -> None:
    """Write configuration, tokenizer and weights into the folder target.

    source: the stand-in tokenizer's SentencePiece file. tensors: what stands in the checkpoint for a tensor of the
    architecture, by its name and shape. extra: what config.json says besides.
    Raises BenchmarkError for a model without an architecture, or with one that transformers does not know.
    """
    if model.architecture is None:
        raise BenchmarkError(f"models.yaml: {model.name}: architecture is missing, so its shape isn't known")
    config = {
        **model.architecture,
        "dtype": DTYPE,
        "bos_token_id": model.bos_id,
        "eos_token_id": list(model.eos_ids),
        "transformers_version": WRITTEN_FOR,
        **extra,
    }
    parts = [tensors(name, shape) for name, shape in shapes(model).items()]
    _write_shards(target, {name: make for part in parts for name, make in part.items()})
    _write_json(target / "config.json", config)
    write_tokenizer(source, target, model.architecture["vocab_size"])


def shapes(model: Model) -> dict[str, Shape]:
    """Every tensor of a checkpoint of that architecture, tied ones once. Nothing is allocated."""
    import torch
    import transformers

    # a copy to the bottom, since transformers writes into what is nested (rope_scaling)
    fields = copy.deepcopy({**(model.architecture or {})})
    fields.pop("architectures", None)
    try:
        config = transformers.AutoConfig.for_model(**fields)
        with torch.device("meta"):
            empty = transformers.AutoModelForCausalLM.from_config(config)
    except (TypeError, ValueError, KeyError) as error:
        raise BenchmarkError(
            f"models.yaml: {model.name}: architecture: transformers {transformers.__version__} makes no model of it: "
            f"{error}"
        ) from error
    tied = set(getattr(empty, "_tied_weights_keys", None) or ()) if config.tie_word_embeddings else set()
    return {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items() if name not in tied}


def matrix(name: str, shape: Shape) -> Any:
    """A tensor of random numbers in DTYPE, or, where it has one dimension, of ones (norms) or zeros (biases)."""
    import torch

    if len(shape) == 1:
        return torch.full(shape, 0.0 if name.endswith(".bias") else 1.0, dtype=torch.bfloat16)
    made = torch.empty(math.prod(shape), dtype=torch.bfloat16)

    def fill(start: int, stop: int, generator: np.random.Generator) -> None:
        drawn = generator.standard_normal(stop - start, dtype=np.float32)
        drawn *= DEVIATION
        made[start:stop] = torch.from_numpy(drawn)

    _in_chunks(name, made.numel(), fill)
    return made.reshape(shape)


def random_words(name: str, shape: Shape) -> NDArray[np.int32]:
    """32 random bits in each place, which are eight random values of 4 bits."""
    made: NDArray[np.int32] = np.empty(math.prod(shape), dtype=np.int32)

    def fill(start: int, stop: int, generator: np.random.Generator) -> None:
        made[start:stop] = generator.integers(-(2**31), 2**31, stop - start, dtype=np.int32)

    _in_chunks(name, made.size, fill)
    return made.reshape(shape)


def _in_chunks(name: str, size: int, fill: Callable[[int, int, np.random.Generator], None]) -> None:
    """Fill range(size) chunk by chunk, each by a generator of its own, on all cores: NumPy's let go of the GIL."""
    seed = int(sha256_json(name)[:16], 16)
    starts = range(0, size, CHUNK)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        filled = [
            pool.submit(fill, start, min(start + CHUNK, size), np.random.Generator(np.random.SFC64([seed, number])))
            for number, start in enumerate(starts)
        ]
        for one in filled:
            one.result()


def _write_shards(target: Path, tensors: Tensors) -> None:
    """*.safetensors of SHARD_BYTES at least each but for the last, and the index over them."""
    from safetensors.torch import save_file

    places: dict[str, str] = {}
    total = 0
    for number, shard in enumerate(_shards(tensors), start=1):
        file = f"model-{number:05}.safetensors"
        save_file(shard, target / file, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, file)
        total += sum(tensor.nbytes for tensor in shard.values())
    _write_json(target / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})


def _shards(tensors: Tensors) -> Iterator[dict[str, Any]]:
    shard: dict[str, Any] = {}
    for name, make in tensors.items():
        shard[name] = make()
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES:
            yield shard
            shard = {}
    if shard:
        yield shard


def write_tokenizer(source: Path, target: Path, vocabulary: int) -> None:
    """The SentencePiece file as a fast tokenizer of exactly `vocabulary` tokens, unused ones behind its own.

    Raises BenchmarkError for a model whose vocabulary is smaller than the stand-in's.
    """
    import tempfile

    import transformers

    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "tokenizer.model").write_bytes(source.read_bytes())
        Path(scratch, "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}', encoding="utf-8")
        tokenizer = transformers.AutoTokenizer.from_pretrained(scratch)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    pieces = content["model"]["vocab"]
    if vocabulary < len(pieces):
        raise BenchmarkError(f"models.yaml: vocab_size {vocabulary}: the stand-in tokenizer has {len(pieces)} tokens")
    pieces |= {f"<unused{number}>": number for number in range(len(pieces), vocabulary)}
    _write_json(target / "tokenizer.json", content)
    specials = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token, "unk_token": tokenizer.unk_token}
    # some models' tokenizer classes would add a token of their own to pad with, behind the last that has an embedding
    specials["pad_token"] = tokenizer.unk_token
    _write_json(target / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **specials})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
