"""From a GGUF file to a transformers folder: weights dequantised to bfloat16, the tokenizer beside them."""

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.entries import Model
from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion

SENTENCE = "The committee will publish its report on the future of public transport next week."
LEAST_CHARACTERS = 3
"""A token's, on average, of that sentence: tokenizers of language models have 4 to 5."""


def convert(source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
    """Dequantise the GGUF file source into the folder target (see Converter).

    texts are not used: a quantised file's values are all exactly kept but for the rounding to bfloat16.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=transformers.GgufConfig(dequantize=True),
    )
    loaded.save_pretrained(target)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    if adds_bos(source):
        prepend_bos(tokenizer)
    tokenizer.save_pretrained(target)
    check_words(target)
    if adds_bos(source):
        _check_bos(target, model.bos_id)
    return Conversion(made_by=f"dequantised from {source.name} to bfloat16 by transformers {transformers.__version__}")


def prepend_bos(tokenizer: Any) -> None:
    """Make a fast tokenizer put its beginning-of-sequence token first, which transformers' GGUF conversion forgets.

    Without that token this kind of model loops and its perplexity is several times higher.
    """
    from tokenizers.processors import TemplateProcessing

    bos = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.bos_token_id)]
    )


def adds_bos(source: Path) -> bool:
    """What the file itself says: its metadata's boolean tokenizer.ggml.add_bos_token, False where it has none.

    Looked up by its bytes (length and key, type 7 for bool, value), since the gguf package spends many seconds on
    reading the whole vocabulary first.
    """
    key = b"tokenizer.ggml.add_bos_token"
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<I", 7)
    with source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = content.find(entry)
        return found >= 0 and content[found + len(entry)] == 1


def check_words(target: Path) -> None:
    """Raise BenchmarkError unless the folder's tokenizer gives a sentence back, in tokens that are mostly words.

    Without the file's merges, which transformers 5.17 leaves out, it makes a token of every character: prompts are four
    times as long, and what the model writes is noise.
    """
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(target)
    ids = tokenizer.encode(SENTENCE, add_special_tokens=False)
    back = tokenizer.decode(ids).strip()
    if back != SENTENCE or len(ids) * LEAST_CHARACTERS > len(SENTENCE):
        raise BenchmarkError(
            f"transformers {transformers.__version__} makes a tokenizer of this GGUF file that cuts {len(SENTENCE)} "
            f"characters of English into {len(ids)} tokens and gives {back!r} back; prepare with transformers 5.19.0"
        )


def _check_bos(target: Path, bos_id: int | None) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(target)
    first, expected = tokenizer.encode("x")[0], tokenizer.bos_token_id if bos_id is None else bos_id
    if first != expected:
        raise BenchmarkError(f"the converted tokenizer starts a text with id {first}, not with BOS ({expected})")
