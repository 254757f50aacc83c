"""From a GGUF file to a transformers folder: weights dequantised to bfloat16, the tokenizer beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion


def convert(source: Path, target: Path, texts: Sequence[str], bos_id: int | None) -> Conversion:
    """Dequantise the GGUF file source into the folder target (see Converter).

    texts are not used: a quantised file's values are all exactly kept but for the rounding to bfloat16.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=transformers.GgufConfig(dequantize=True),
    )
    model.save_pretrained(target)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    if _adds_bos(source):
        prepend_bos(tokenizer)
    tokenizer.save_pretrained(target)
    if _adds_bos(source):
        _check_bos(target, bos_id)
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


def _adds_bos(source: Path) -> bool:
    """What the file itself says: tokenizer.ggml.add_bos_token."""
    import gguf

    field = gguf.GGUFReader(source).get_field("tokenizer.ggml.add_bos_token")
    return field is not None and bool(field.contents())


def _check_bos(target: Path, bos_id: int | None) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(target)
    first, expected = tokenizer.encode("x")[0], tokenizer.bos_token_id if bos_id is None else bos_id
    if first != expected:
        raise BenchmarkError(f"the converted tokenizer starts a text with id {first}, not with BOS ({expected})")
