"""A tiny Llama with random weights, so that an engine and its kernels can be tried with no network and no model.

The same numbers come out every time. What it writes means nothing, but is printable ASCII.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

from pipeline.entries import Model, WeightsSource
from pipeline.worker.synthetic import checkpoint, gguf, llama


def write(form: str, folder: Path) -> Path:
    """Write MODEL's weights in that format into the existing, empty folder; what an engine is to open.

    form: a key of MODEL.weights (KeyError otherwise). Those that are rounded from hf need torch and safetensors, the
    others nothing.
    """
    return _WRITERS[form](folder)


def _write_rounded(layout: str, folder: Path) -> Path:
    """In a layout of the converters and by their code, so that what is checked is what runs."""
    from pipeline.worker.convert.checkpoint import write_rounded

    source, target = folder / "source", folder / "rounded"
    source.mkdir()
    target.mkdir()
    write_rounded(checkpoint.write(source), target, import_module(f"pipeline.worker.convert.{layout}"))
    return target


_WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "hf": checkpoint.write,
    "awq": partial(_write_rounded, "awq_layout"),
    # the same layout; its converter is tried in its own image, and so is that of w4a16
    "awq-autoawq": partial(_write_rounded, "awq_layout"),
    "w4a16": partial(_write_rounded, "w4a16_layout"),
    "gguf": gguf.write,
}
QUANTIZED = frozenset(_WRITERS) - {"hf"}
"""The formats whose weights are quantised already."""

MODEL = Model(
    name="synthetic",
    description="two layers of Llama with random weights",
    licence="none",
    context_length=llama.CONTEXT_LENGTH,
    parameters=llama.PARAMETERS,
    prompt="synthetic",
    bos_id=llama.BOS_ID,
    eos_ids=(llama.EOS_ID,),
    weights={form: WeightsSource("convert", kind="synthetic") for form in _WRITERS},
)
