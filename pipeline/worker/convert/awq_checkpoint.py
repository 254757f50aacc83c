"""An AWQ checkpoint as an engine reads it: what stands beside its weights, and its perplexity.

The perplexity is that of the numbers in the saved files, so that a mistake in quantising or in saving shows in it.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.worker.convert import awq_layout
from pipeline.worker.convert.perplexity import perplexity

QWEIGHT = ".qweight"
WRITTEN_ANEW = ("config.json", "manifest.json", "model.safetensors.index.json")


def load_tensors(folder: Path) -> dict[str, Any]:
    """All tensors of a folder's *.safetensors, by name."""
    from safetensors.torch import load_file

    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


def copy_companions(source: Path, target: Path) -> None:
    """The tokenizer's and the generation's files, as they are; config.json is the caller's to write."""
    for path in [*source.glob("*.json"), *source.glob("tokenizer.model")]:
        if path.name not in WRITTEN_ANEW:
            shutil.copyfile(path, target / path.name)


def dequantized(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's tensors with each packed layer's weight in float32 [out, in] in place of its three parts."""
    import torch

    layers = [name.removesuffix(QWEIGHT) for name in tensors if name.endswith(QWEIGHT)]
    parts = {f"{layer}.{part}" for layer in layers for part in ("qweight", "qzeros", "scales")}
    state = {name: tensor for name, tensor in tensors.items() if name not in parts}
    for layer in layers:
        qweight, qzeros, scales = (tensors[f"{layer}.{part}"].numpy() for part in ("qweight", "qzeros", "scales"))
        read = awq_layout.Quantized(awq_layout.unpack(qweight), awq_layout.unpack(qzeros), scales)
        state[f"{layer}.weight"] = torch.from_numpy(read.dequantize())
    return state


def perplexities(
    source: Path, checkpoint: Path, texts: Sequence[str], bos_id: int | None
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
    missing, unknown = model.load_state_dict(dequantized(load_tensors(checkpoint)), strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if model.config.tie_word_embeddings else set()
    if unknown or set(missing) - tied:
        raise RuntimeError(f"{checkpoint}: missing {sorted(set(missing) - tied)}, not of the model {unknown}")
    return before, perplexity(model, tokenizer, texts, bos_id)
