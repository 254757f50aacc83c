"""From a transformers folder to a compressed-tensors checkpoint by llm-compressor: GPTQ on calibration text."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline.entries import Model
from pipeline.worker.convert import Conversion, w4a16_layout
from pipeline.worker.convert.calibration import WINDOW_TOKENS, Tool, Windows, convert_with, uneven
from pipeline.worker.convert.checkpoint import read_config

SCHEME = "W4A16"
"""llm-compressor's name for what w4a16_layout describes: 4-bit weights, activations in 16 bits."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


def convert(source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
    """See Converter and convert_with."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    tool = Tool("llm-compressor", "llmcompressor", w4a16_layout, _quantize, method="GPTQ")
    reason = unsupported(read_config(source), MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    return convert_with(tool, reason, source, target, texts, model.bos_id)


def unsupported(config: dict[str, Any], model_types: Collection[str]) -> str | None:
    """Why a model with that config.json can't be quantised; None where nothing there speaks against it.

    model_types: the causal language models that transformers knows.
    """
    if config.get("model_type") not in model_types:
        return f"its type {config.get('model_type')} is no causal language model that its transformers knows"
    if "quantization_config" in config:
        return "it is quantised already"
    if "hidden_size" not in config:
        return "its config.json has no hidden_size: it is more than a decoder for text, or of another make"
    if any(config.get(name) for name in EXPERTS):
        return "it is a mixture of experts, whose weights can't be read back one layer at a time"
    return uneven(config)


def _quantize(source: Path, target: Path, tokenizer: Any, windows: Windows) -> None:
    import torch
    import transformers
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from torch.utils.data import DataLoader

    def batch(ids: Windows) -> dict[str, Any]:
        tokens = torch.tensor(ids)
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}

    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    dtype = model.dtype
    if not torch.cuda.is_available():
        model.float()  # a CPU is slow in 16 bits
    oneshot(
        model=model,
        tokenizer=tokenizer,
        recipe=[GPTQModifier(targets="Linear", scheme=SCHEME, ignore=["lm_head"])],
        dataset=DataLoader(list(windows), batch_size=1, collate_fn=batch),
        num_calibration_samples=len(windows),
        max_seq_length=WINDOW_TOKENS,
        pipeline="sequential",
    )
    model.to(dtype)  # what is not packed and the scales take the room that the source's own numbers take
    model.save_pretrained(str(target), save_compressed=True)
