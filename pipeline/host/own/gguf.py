"""A model in a GGUF file, described by the file's own head: metadata, and the shapes and types of its tensors.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

import math
import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.entries import Attention, Model, WeightsSource
from pipeline.errors import UsageError
from pipeline.host.own.describe import CONTINUES_TEXTS, FOLLOWS_INSTRUCTIONS, IMAGE
from pipeline.host.own.template import Halves, halves
from pipeline.plain import shown

MAGIC, VERSIONS = b"GGUF", (2, 3)
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""struct's letters by the format's numbers of types."""
BITS = {
    0: 32, 1: 16, 30: 16, 2: 4.5, 3: 5, 6: 5.5, 7: 6, 8: 8.5, 10: 2.625, 11: 3.4375, 12: 4.5, 13: 5.5, 14: 6.5625,
    20: 4.5, 23: 4.25,
}  # fmt: skip
"""Of a number in a tensor, scales included, by ggml's numbers of types: F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q6_K,
IQ4_NL and IQ4_XS."""
TOKENIZER = "tokenizer.ggml"
_IN_A_BLOCK = re.compile(r"blk\.\d+\.")


@dataclass(frozen=True)
class Stored:
    """A tensor. size: numbers. matrix: of two dimensions or more. bits: of a number, None for a type not in BITS."""

    size: int
    matrix: bool
    bits: float | None


@dataclass(frozen=True)
class Head:
    """metadata: by key, arrays as lists. tensors: by name."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, Stored]


def read_head(path: Path) -> Head:
    """What stands before the file's numbers. A UsageError for a file that is damaged or of another version."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(content).head()
    except (OSError, struct.error, KeyError, ValueError, OverflowError) as error:
        raise UsageError(f"--model {path}: no whole GGUF file ({error}); fetch or convert it again") from error


def describe_gguf(path: Path, name: str, revision: str, size_gb: float) -> Model:
    """The entry of the model in the file. revision: its fingerprint. A UsageError says what is missing or unusable."""
    head, where = read_head(path), str(path)
    told = head.metadata
    if told.get("split.count", 1) != 1:
        raise UsageError(f"{where}: one of {told['split.count']} files; merge them first with llama-gguf-split --merge")
    kind = told.get("general.architecture")
    tokens = _tokens(told)
    template = told.get("tokenizer.chat_template")
    adds_bos = bool(told.get(f"{TOKENIZER}.add_bos_token", told.get(f"{TOKENIZER}.model") == "llama"))
    cut = halves(template, tokens, where) if isinstance(template, str) else Halves("", "", adds_bos)
    blocks = [one for key, one in head.tensors.items() if _IN_A_BLOCK.match(key) and one.matrix]
    output = head.tensors.get("output.weight") or head.tensors.get("token_embd.weight")
    source = WeightsSource(
        "folder",
        path=path.name,
        revision=revision,
        size_gb=size_gb,
        bits=_mean_bits(blocks),
        output_bits=output.bits if output else None,
        image=IMAGE,
    )
    return Model(
        name=name,
        description=f"the model in {path.name}, a file of your own",
        licence=str(told.get("general.license", "not stated")),
        context_length=_whole(told, f"{kind}.context_length", where),
        parameters=sum(one.size for one in head.tensors.values()),
        prompt=FOLLOWS_INSTRUCTIONS if isinstance(template, str) else CONTINUES_TEXTS,
        eos_ids=_ends(told, where),
        weights={"gguf": source},
        bos_id=_whole(told, f"{TOKENIZER}.bos_token_id", where) if cut.starts_with_bos else None,
        prompt_prefix=cut.prefix,
        prompt_suffix=cut.suffix,
        linear_parameters=sum(one.size for one in blocks) or None,
        output_parameters=output.size if output else None,
        attention=_attention(told, str(kind)),
    )


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def head(self) -> Head:
        magic, version = self._take("4sI")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError(f"begins with {shown(magic)} and version {version}")
        tensors, entries = self._take("QQ")
        metadata = {self._text(): self._value(*self._take("I")) for _ in range(entries)}
        return Head(metadata, dict(self._tensor() for _ in range(tensors)))

    def _tensor(self) -> tuple[str, Stored]:
        name, (dimensions,) = self._text(), self._take("I")
        sizes = self._take(f"{dimensions}Q")
        kind, _ = self._take("IQ")
        return name, Stored(math.prod(sizes), dimensions >= 2, BITS.get(kind))

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            item, count = self._take("IQ")
            if item in (STRING, ARRAY):
                return [self._value(item) for _ in range(count)]
            return list(self._take(f"{count}{SCALARS[item]}"))
        [value] = self._take(SCALARS[kind])
        return value

    def _text(self) -> str:
        (length,) = self._take("Q")
        [text] = self._take(f"{length}s")
        return bytes(text).decode(errors="replace")

    def _take(self, letters: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{letters}", self._content, self._at)
        self._at += struct.calcsize(f"<{letters}")
        return found


def _tokens(told: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the special tokens that a template may name."""
    texts = told.get(f"{TOKENIZER}.tokens")
    found = {}
    for name, key in (("bos_token", "bos_token_id"), ("eos_token", "eos_token_id")):
        number = told.get(f"{TOKENIZER}.{key}")
        if isinstance(texts, list) and isinstance(number, int) and 0 <= number < len(texts):
            found[name] = str(texts[number])
    return found


def _ends(told: Mapping[str, Any], where: str) -> tuple[int, ...]:
    """Of a text and, in chat models, of a turn."""
    first = _whole(told, f"{TOKENIZER}.eos_token_id", where)
    turn = told.get(f"{TOKENIZER}.eot_token_id")
    return (first, turn) if isinstance(turn, int) and turn != first else (first,)


def _whole(told: Mapping[str, Any], key: str, where: str) -> int:
    value = told.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{where}: metadata: {key}: {shown(value)} is no number; take a file that has it")
    return value


def _attention(told: Mapping[str, Any], kind: str) -> Attention | None:
    """None where layers differ, or look back windows, of which the file doesn't say which layers do."""
    layers, heads, kv_heads, hidden, key_length = (
        value if isinstance(value := told.get(f"{kind}.{name}"), int) else 0
        for name in (
            "block_count",
            "attention.head_count",
            "attention.head_count_kv",
            "embedding_length",
            "attention.key_length",
        )
    )
    if not layers or not heads or not kv_heads or f"{kind}.attention.sliding_window" in told:
        return None
    return Attention(layers, kv_heads, key_length or hidden // heads)


def _mean_bits(tensors: list[Stored]) -> float | None:
    known = [one.size * one.bits for one in tensors if one.bits is not None]
    total = sum(one.size for one in tensors)
    return round(sum(known) / total, 2) if total and len(known) == len(tensors) else None
