"""The synthetic model as a GGUF file (version 3) with matrices in Q4_K, written with the standard library alone.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; block_q4_K in ggml's ggml-common.h.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.worker.synthetic import llama

FILE = "model.gguf"
VERSION = 3
ALIGNMENT = 32
MOSTLY_Q4_K_M = 15  # general.file_type

# ggml's types of tensors
F32, Q4_K = 0, 12
# A block of Q4_K: 256 numbers d * scale * code - dmin * minimum, with a 6-bit scale and minimum for every 32 of them.
BLOCK_NUMBERS = 256
BLOCK_CODES_BYTES = BLOCK_NUMBERS // 2
SCALE = 15  # at most 15 keeps the packing plain: the upper two bits of scales and minimums are 0
SCALES = bytes([SCALE] * 8 + [SCALE | SCALE << 4] * 4)
MEAN_CODE = 7.5
CODE_DEVIATION = 4.61  # of a uniform 0 to 15

# types of metadata
UINT32, FLOAT32, BOOL, STRING, ARRAY, INT32 = 4, 6, 7, 8, 9, 5
# types of tokens
NORMAL, CONTROL = 1, 3


def write(folder: Path) -> Path:
    """Write the file into the folder; its path."""
    metadata = _metadata()
    head = struct.pack("<4sIQQ", b"GGUF", VERSION, len(llama.TENSORS), len(metadata))
    for key, (kind, value) in metadata.items():
        head += _string(key) + struct.pack("<I", kind) + _value(kind, value)
    content = bytearray()
    for tensor in llama.TENSORS:
        sizes = tensor.shape[::-1]  # the innermost comes first
        kind = F32 if len(sizes) == 1 else Q4_K
        head += _string(tensor.gguf) + struct.pack("<I", len(sizes))
        head += struct.pack(f"<{len(sizes)}QIQ", *sizes, kind, len(content))
        content += _data(tensor)
        content += bytes(-len(content) % ALIGNMENT)
    head += bytes(-len(head) % ALIGNMENT)
    path = folder / FILE
    path.write_bytes(head + content)
    return path


def _metadata() -> Mapping[str, tuple[int, Any]]:
    """Key -> type and value; an array's value is the type of its items and the items."""
    tokens = llama.vocabulary()
    specials = len(llama.SPECIAL_TOKENS)
    return {
        "general.architecture": (STRING, "llama"),
        "general.name": (STRING, "synthetic"),
        "general.alignment": (UINT32, ALIGNMENT),
        "general.file_type": (UINT32, MOSTLY_Q4_K_M),
        "llama.vocab_size": (UINT32, llama.VOCABULARY_SIZE),
        "llama.context_length": (UINT32, llama.CONTEXT_LENGTH),
        "llama.embedding_length": (UINT32, llama.HIDDEN),
        "llama.block_count": (UINT32, llama.LAYERS),
        "llama.feed_forward_length": (UINT32, llama.FEED_FORWARD),
        "llama.attention.head_count": (UINT32, llama.HEADS),
        "llama.attention.head_count_kv": (UINT32, llama.KV_HEADS),
        "llama.attention.layer_norm_rms_epsilon": (FLOAT32, llama.NORM_EPSILON),
        "llama.rope.dimension_count": (UINT32, llama.HEAD_SIZE),
        "llama.rope.freq_base": (FLOAT32, llama.ROPE_THETA),
        "tokenizer.ggml.model": (STRING, "gpt2"),
        "tokenizer.ggml.pre": (STRING, "gpt-2"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, tokens)),
        "tokenizer.ggml.token_type": (ARRAY, (INT32, [CONTROL] * specials + [NORMAL] * (len(tokens) - specials))),
        "tokenizer.ggml.merges": (ARRAY, (STRING, [])),
        "tokenizer.ggml.bos_token_id": (UINT32, llama.BOS_ID),
        "tokenizer.ggml.eos_token_id": (UINT32, llama.EOS_ID),
        "tokenizer.ggml.unknown_token_id": (UINT32, llama.UNKNOWN_ID),
        "tokenizer.ggml.add_bos_token": (BOOL, False),
    }


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        item_kind, items = value
        return struct.pack("<IQ", item_kind, len(items)) + b"".join(_value(item_kind, item) for item in items)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _data(tensor: llama.Tensor) -> bytes:
    if len(tensor.shape) == 1:
        return struct.pack("<f", 1.0) * tensor.size
    rows, columns = tensor.shape
    row_blocks = columns // BLOCK_NUMBERS
    codes = llama.random_bytes(tensor, len(tensor.rows) * row_blocks * BLOCK_CODES_BYTES)
    step = llama.DEVIATION / CODE_DEVIATION / SCALE
    prefix = struct.pack("<ee", step, step * MEAN_CODE) + SCALES
    blocks = _blocks(prefix, codes)
    zero_row = bytes(row_blocks * (len(prefix) + BLOCK_CODES_BYTES))
    before, after = tensor.rows.start, rows - tensor.rows.stop
    return zero_row * before + b"".join(blocks) + zero_row * after


def _blocks(prefix: bytes, codes: bytes) -> Sequence[bytes]:
    starts = range(0, len(codes), BLOCK_CODES_BYTES)
    return [prefix + codes[start : start + BLOCK_CODES_BYTES] for start in starts]
