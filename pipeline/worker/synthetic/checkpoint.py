"""The synthetic model as a Hugging Face checkpoint, written with the standard library alone."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.worker.synthetic import llama

DTYPE = "F16"
DTYPE_BYTES = 2


def write(folder: Path) -> Path:
    """Write configuration, tokenizer and model.safetensors (float16) into the folder, which is returned."""
    files: Mapping[str, Any] = {
        "config.json": _config(),
        "generation_config.json": {"bos_token_id": llama.BOS_ID, "eos_token_id": llama.EOS_ID},
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": _tokenizer_config(),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(_safetensors())
    return folder


def _config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": llama.HIDDEN,
        "intermediate_size": llama.FEED_FORWARD,
        "num_hidden_layers": llama.LAYERS,
        "num_attention_heads": llama.HEADS,
        "num_key_value_heads": llama.KV_HEADS,
        "head_dim": llama.HEAD_SIZE,
        "hidden_act": "silu",
        "max_position_embeddings": llama.CONTEXT_LENGTH,
        "rms_norm_eps": llama.NORM_EPSILON,
        "rope_theta": llama.ROPE_THETA,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "vocab_size": llama.VOCABULARY_SIZE,
        "bos_token_id": llama.BOS_ID,
        "eos_token_id": llama.EOS_ID,
        "dtype": "float16",
    }


def _tokenizer() -> dict[str, Any]:
    """Byte-level BPE without merges: every byte is a token."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **special} for number, token in enumerate(llama.SPECIAL_TOKENS)
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: number for number, token in enumerate(llama.vocabulary())},
            "merges": [],
        },
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": llama.SPECIAL_TOKENS[llama.UNKNOWN_ID],
        "bos_token": llama.SPECIAL_TOKENS[llama.BOS_ID],
        "eos_token": llama.SPECIAL_TOKENS[llama.EOS_ID],
        "clean_up_tokenization_spaces": False,
        "model_max_length": llama.CONTEXT_LENGTH,
    }


def _safetensors() -> bytes:
    """The file's bytes: the length of a JSON header, the header (name -> dtype, shape, place), all tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = bytearray()
    for tensor in llama.TENSORS:
        start = len(content)
        content += _float16(tensor)
        header[tensor.hf] = {"dtype": DTYPE, "shape": tensor.shape, "data_offsets": [start, len(content)]}
    described = json.dumps(header).encode()
    described += b" " * (-len(described) % 8)  # so that the tensors begin at a multiple of 8
    return struct.pack("<Q", len(described)) + described + content


def _float16(tensor: llama.Tensor) -> bytes:
    if len(tensor.shape) == 1:
        return struct.pack("<e", 1.0) * tensor.size
    numbers = [struct.pack("<e", level) for level in llama.normal_levels()]
    rows, columns = tensor.shape
    values = b"".join(map(numbers.__getitem__, llama.random_bytes(tensor, len(tensor.rows) * columns)))
    row_bytes = columns * DTYPE_BYTES
    before, after = tensor.rows.start, rows - tensor.rows.stop
    return bytes(before * row_bytes) + values + bytes(after * row_bytes)
