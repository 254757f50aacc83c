"""From a transformers folder to an AWQ checkpoint by AutoAWQ: scales and clipping chosen on calibration text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.entries import Model
from pipeline.worker.convert import Conversion, awq_layout
from pipeline.worker.convert.calibration import WINDOW_TOKENS, Tool, Windows, convert_with, uneven
from pipeline.worker.convert.checkpoint import read_config
from pipeline.worker.convert.int4 import BITS, GROUP


def convert(source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
    """See Converter and convert_with."""
    from awq.models.auto import AWQ_CAUSAL_LM_MODEL_MAP

    tool = Tool("AutoAWQ", "autoawq", awq_layout, _quantize)
    reason = unsupported(read_config(source), sorted(AWQ_CAUSAL_LM_MODEL_MAP))
    return convert_with(tool, reason, source, target, texts, model.bos_id)


def unsupported(config: dict[str, Any], model_types: Sequence[str]) -> str | None:
    """Why a model with that config.json can't be quantised; None where it can. model_types: AutoAWQ's own list."""
    if config.get("model_type") not in model_types:
        return f"its type {config.get('model_type')} is none of {', '.join(model_types)}"
    if "rope_parameters" in config and "rope_theta" not in config:
        return "transformers 5 wrote its config.json, which AutoAWQ's transformers 4 would misread (rope_parameters)"
    return uneven(config)


def _quantize(source: Path, target: Path, tokenizer: Any, windows: Windows) -> None:
    import torch
    from awq import AutoAWQForCausalLM

    model = AutoAWQForCausalLM.from_pretrained(
        str(source),
        # a CPU is slow in float16; on a GPU it is what AutoAWQ is tested in
        torch_dtype=torch.float16 if torch.cuda.is_available() else torch.float32,
        trust_remote_code=False,
    )
    model.quantize(
        tokenizer,
        quant_config={"zero_point": True, "q_group_size": GROUP, "w_bit": BITS, "version": "GEMM"},
        calib_data=windows,
        max_calib_samples=len(windows),
        max_calib_seq_len=WINDOW_TOKENS,
    )
    model.model.half()  # what is not packed, as AWQ checkpoints have it
    model.save_quantized(str(target))
