"""From a transformers folder to an AWQ checkpoint by rounding to nearest: no calibration, and labelled as that."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion, awq_layout
from pipeline.worker.convert.perplexity import perplexity

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

    tensors = _load_tensors(source)
    layers = [name.removesuffix(".weight") for name in tensors if _LINEAR.search(name.removesuffix(".weight"))]
    if not layers:
        raise BenchmarkError(f"{source}: no decoder layers named ...layers.N....._proj.weight; rtn_awq can't pack this")
    for layer in layers:
        tensors |= _pack(layer, tensors.pop(f"{layer}.weight"))
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    for path in source.glob("*.json"):
        if path.name not in ("manifest.json", "model.safetensors.index.json"):
            shutil.copyfile(path, target / path.name)
    _write_config(target / "config.json")
    before, after = _perplexities(source, tensors, layers, texts, bos_id)
    return Conversion(MADE_BY, after, before)


def _load_tensors(source: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: tensor for path in sorted(source.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def _pack(layer: str, weight: Any) -> Mapping[str, Any]:
    import torch

    rounded = awq_layout.quantize(weight.float().numpy(), GROUP)
    return {
        f"{layer}.qweight": torch.from_numpy(awq_layout.pack(rounded.codes)),
        f"{layer}.qzeros": torch.from_numpy(awq_layout.pack(rounded.zeros)),
        f"{layer}.scales": torch.from_numpy(rounded.scales),
    }


def _unpack(layer: str, tensors: Mapping[str, Any]) -> Any:
    """The layer's weight as an engine reads it from the checkpoint, float32 [out, in]."""
    import torch

    qweight, qzeros, scales = (tensors[f"{layer}.{part}"].numpy() for part in ("qweight", "qzeros", "scales"))
    rounded = awq_layout.Quantized(awq_layout.unpack(qweight), awq_layout.unpack(qzeros), scales)
    return torch.from_numpy(rounded.dequantize())


def _write_config(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "quantization_config": QUANTIZATION}, indent=2) + "\n", encoding="utf-8")


def _perplexities(
    source: Path, tensors: Mapping[str, Any], layers: Sequence[str], texts: Sequence[str], bos_id: int | None
) -> tuple[float | None, float | None]:
    """Of the source, and of the same model with the packed layers' weights put in its place, both in float32."""
    if not texts:
        return None, None
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    before = perplexity(model, tokenizer, texts, bos_id)
    with torch.inference_mode():
        for layer in layers:
            model.get_submodule(layer).weight.copy_(_unpack(layer, tensors))
    return before, perplexity(model, tokenizer, texts, bos_id)
