"""From a transformers folder to an AWQ checkpoint by rounding to nearest: no calibration, and labelled as that."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion, awq_checkpoint, awq_layout

GROUP = 128
QUANTIZATION = {
    "quant_method": "awq",
    "version": "gemm",
    "bits": awq_layout.BITS,
    "group_size": GROUP,
    "zero_point": True,
    "modules_to_not_convert": ["lm_head"],
}
MADE_BY = f"round-to-nearest, 4-bit, group {GROUP}, not calibrated, in AWQ layout"
_LINEAR = re.compile(r"\.layers\.\d+\..*_proj$")


def convert(source: Path, target: Path, texts: Sequence[str], bos_id: int | None) -> Conversion:
    """Pack every linear layer of the decoder; embeddings, norms and the output head stay as they are.

    See Converter. Raises BenchmarkError for a model whose layers are named in another way.
    """
    from safetensors.torch import save_file

    tensors = awq_checkpoint.load_tensors(source)
    layers = [name.removesuffix(".weight") for name in tensors if _LINEAR.search(name.removesuffix(".weight"))]
    if not layers:
        raise BenchmarkError(f"{source}: no decoder layers named ...layers.N....._proj.weight; rtn_awq can't pack this")
    for layer in layers:
        tensors |= _pack(layer, tensors.pop(f"{layer}.weight"))
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    awq_checkpoint.copy_companions(source, target)
    _write_config(source, target)
    before, after = awq_checkpoint.perplexities(source, target, texts, bos_id)
    return Conversion(MADE_BY, after, before)


def _pack(layer: str, weight: Any) -> Mapping[str, Any]:
    import torch

    rounded = awq_layout.quantize(weight.float().numpy(), GROUP)
    return {
        f"{layer}.qweight": torch.from_numpy(awq_layout.pack(rounded.codes)),
        f"{layer}.qzeros": torch.from_numpy(awq_layout.pack(rounded.zeros)),
        f"{layer}.scales": torch.from_numpy(rounded.scales),
    }


def _write_config(source: Path, target: Path) -> None:
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    content = json.dumps({**config, "quantization_config": QUANTIZATION}, indent=2) + "\n"
    (target / "config.json").write_text(content, encoding="utf-8")
