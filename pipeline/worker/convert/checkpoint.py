"""A 4-bit checkpoint as an engine reads it: what stands beside its weights, and its perplexity.

The perplexity is that of the numbers in the saved files, so that a mistake in quantising or in saving shows in it.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError
from pipeline.worker.convert.int4 import Layout
from pipeline.worker.convert.perplexity import perplexity

WRITTEN_ANEW = ("config.json", "manifest.json", "model.safetensors.index.json")
_LINEAR = re.compile(r"\.layers\.\d+\..*_proj$")


def is_linear(layer: str) -> bool:
    """Whether a layer of that name is a linear one of the decoder, which is packed, unlike embeddings and head."""
    return _LINEAR.search(layer) is not None


def load_tensors(folder: Path) -> dict[str, Any]:
    """All tensors of a folder's *.safetensors, by name."""
    from safetensors.torch import load_file

    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def read_config(folder: Path) -> dict[str, Any]:
    """What a folder's config.json says."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def copy_companions(source: Path, target: Path) -> None:
    """The tokenizer's and the generation's files, as they are; config.json is the caller's to write."""
    for path in [*source.glob("*.json"), *source.glob("tokenizer.model")]:
        if path.name not in WRITTEN_ANEW:
            shutil.copyfile(path, target / path.name)


def write_rounded(source: Path, target: Path, layout: Layout) -> None:
    """A checkpoint with every linear layer of the decoder rounded to nearest; the rest stays as it is.

    Raises BenchmarkError for a model whose layers are named in another way.
    """
    import torch
    from safetensors.torch import save_file

    tensors = load_tensors(source)
    layers = [name.removesuffix(".weight") for name in tensors if is_linear(name.removesuffix(".weight"))]
    if not layers:
        raise BenchmarkError(f"{source}: no decoder layers named ...layers.N....._proj.weight: nothing can be packed")
    for layer in layers:
        parts = layout.to_parts(tensors.pop(f"{layer}.weight").float().numpy())
        tensors |= {f"{layer}.{part}": torch.from_numpy(array) for part, array in parts.items()}
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    copy_companions(source, target)
    content = json.dumps({**read_config(source), "quantization_config": layout.QUANTIZATION}, indent=2) + "\n"
    (target / "config.json").write_text(content, encoding="utf-8")


def dequantized(tensors: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """A checkpoint's tensors with each packed layer's weight in float32 [out, in] in place of its parts.

    Raises BenchmarkError where no layer is packed.
    """
    import torch

    packed = f".{layout.PARTS[0]}"
    layers = [name.removesuffix(packed) for name in tensors if name.endswith(packed)]
    if not layers:
        raise BenchmarkError(f"no layer was quantised: no tensor is named ...{packed}")
    parts = {f"{layer}.{part}" for layer in layers for part in layout.PARTS}
    state = {name: tensor for name, tensor in tensors.items() if name not in parts}
    for layer in layers:
        read = {part: _array(tensors[f"{layer}.{part}"]) for part in layout.PARTS}
        state[f"{layer}.weight"] = torch.from_numpy(layout.from_parts(read))
    return state


def _array(tensor: Any) -> Any:
    # NumPy has no bfloat16
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def perplexities(
    source: Path, checkpoint: Path, layout: Layout, texts: Sequence[str], bos_id: int | None
) -> tuple[float | None, float | None]:
    """Of the source, and of the same architecture with the checkpoint's numbers, both in float32; None without texts.

    Both folders are of the same model; a checkpoint that lacks one of its tensors is a RuntimeError.
    """
    if not texts:
        return None, None
    import transformers

    transformers.utils.logging.disable_progress_bar()
    # no argument says float32, since transformers 4 and 5 call it by different names
    model = transformers.AutoModelForCausalLM.from_pretrained(source).float().eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    before = perplexity(model, tokenizer, texts, bos_id)
    missing, unknown = model.load_state_dict(dequantized(load_tensors(checkpoint), layout), strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if model.config.tie_word_embeddings else set()
    if unknown or set(missing) - tied:
        raise RuntimeError(f"{checkpoint}: missing {sorted(set(missing) - tied)}, not of the model {unknown}")
    return before, perplexity(model, tokenizer, texts, bos_id)
