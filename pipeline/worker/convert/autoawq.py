"""From a transformers folder to an AWQ checkpoint by AutoAWQ: scales and clipping chosen on calibration text."""

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion, awq_checkpoint, awq_layout
from pipeline.worker.convert.perplexity import DOCUMENTS

GROUP = 128
WINDOW_TOKENS = 256
WINDOWS = 128
"""At most so many are calibrated on; AutoAWQ's own default is as many, of twice the length."""
WORST_RATIO = 1.5
"""A checkpoint of more than so many times the original's perplexity is not kept. Rounding to nearest, without any
calibration, costs Gemma 3 270M 1.6 times, and small models lose the most."""


def convert(source: Path, target: Path, texts: Sequence[str], bos_id: int | None) -> Conversion:
    """See Converter. The first DOCUMENTS texts are held out for the perplexities, the others are calibrated on.

    Raises BenchmarkError, before any long work, for a model that AutoAWQ does not support and without texts to
    calibrate on; and after it for a checkpoint whose perplexity is more than WORST_RATIO times the original's.
    """
    from awq.models.auto import AWQ_CAUSAL_LM_MODEL_MAP

    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    reason = unsupported(config, sorted(AWQ_CAUSAL_LM_MODEL_MAP))
    if reason is not None:
        raise BenchmarkError(f"AutoAWQ can't make a checkpoint of {source}: {reason}")
    held_out, calibration = texts[:DOCUMENTS], texts[DOCUMENTS:]
    if not calibration:
        raise BenchmarkError(
            f"AutoAWQ calibrates on text beside the {DOCUMENTS} documents held out, and there are {len(texts)} in all; "
            "give it the data folder that holds the bundled sample"
        )
    windows = _quantize(source, target, calibration, bos_id)
    awq_checkpoint.copy_companions(source, target)
    before, after = awq_checkpoint.perplexities(source, target, held_out, bos_id)
    check_perplexity(before, after)
    return Conversion(
        f"AutoAWQ {importlib.metadata.version('autoawq')}, {awq_layout.BITS}-bit, group {GROUP}, calibrated on "
        f"{windows} windows of {WINDOW_TOKENS} tokens from {len(calibration)} documents; perplexities over "
        f"{len(held_out)} others",
        after,
        before,
    )


def unsupported(config: dict[str, Any], model_types: Sequence[str]) -> str | None:
    """Why a model with that config.json can't be quantised; None where it can. model_types: AutoAWQ's own list."""
    if config.get("model_type") not in model_types:
        return f"its type {config.get('model_type')} is none of {', '.join(model_types)}"
    if "rope_parameters" in config and "rope_theta" not in config:
        return "transformers 5 wrote its config.json, which AutoAWQ's transformers 4 would misread (rope_parameters)"
    for name in ("hidden_size", "intermediate_size"):
        if config.get(name, 0) % GROUP:
            return f"its {name} {config[name]} is no multiple of the group of {GROUP}"
    return None


def check_perplexity(before: float | None, after: float | None) -> None:
    """A BenchmarkError for a checkpoint that is broken, one of perplexity NaN included. before: the original's."""
    if before is not None and after is not None and not after <= WORST_RATIO * before:
        raise BenchmarkError(
            f"the quantised model is broken: perplexity {after:.1f}, {before:.1f} before; above {WORST_RATIO:g} times "
            "it is not kept"
        )


def calibration_windows(documents: Sequence[Sequence[int]], bos_id: int | None) -> list[list[int]]:
    """Windows of exactly WINDOW_TOKENS ids, BOS first in each, taken in turn from all documents; WINDOWS at most."""
    start = [] if bos_id is None else [bos_id]
    size = WINDOW_TOKENS - len(start)
    cut = [[*start, *ids[at : at + size]] for at in range(0, max(map(len, documents)), size) for ids in documents]
    return [window for window in cut if len(window) == WINDOW_TOKENS][:WINDOWS]


def _quantize(source: Path, target: Path, texts: Sequence[str], bos_id: int | None) -> int:
    """Write config.json and the weights into target; how many windows were calibrated on."""
    import torch
    from awq import AutoAWQForCausalLM
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    windows = calibration_windows([tokenizer.encode(text, add_special_tokens=False) for text in texts], bos_id)
    if not windows:
        raise BenchmarkError(f"no calibration text has {WINDOW_TOKENS} tokens")
    model = AutoAWQForCausalLM.from_pretrained(
        str(source),
        # a CPU is slow in float16; on a GPU it is what AutoAWQ is tested in
        torch_dtype=torch.float16 if torch.cuda.is_available() else torch.float32,
        trust_remote_code=False,
    )
    model.quantize(
        tokenizer,
        quant_config={"zero_point": True, "q_group_size": GROUP, "w_bit": awq_layout.BITS, "version": "GEMM"},
        calib_data=windows,
        max_calib_samples=len(windows),
        max_calib_seq_len=WINDOW_TOKENS,
    )
    model.model.half()  # what is not packed, as AWQ checkpoints have it
    model.save_quantized(str(target))
    return len(windows)
