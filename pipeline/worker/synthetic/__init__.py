"""A tiny Llama with random weights, so that an engine and its kernels can be tried with no network and no model.

The same numbers come out every time. What it writes means nothing, but is printable ASCII.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.spec import Model, WeightsSource
from pipeline.worker.synthetic import checkpoint, gguf, llama

MODEL = Model(
    name="synthetic",
    description="two layers of Llama with random weights",
    licence="none",
    context_length=llama.CONTEXT_LENGTH,
    parameters=llama.PARAMETERS,
    prompt="synthetic",
    bos_id=llama.BOS_ID,
    eos_ids=(llama.EOS_ID,),
    weights={form: WeightsSource("convert", kind="synthetic") for form in ("hf", "awq", "awq-autoawq", "gguf")},
)


def write(form: str, folder: Path) -> Path:
    """Write MODEL's weights in that format into the existing, empty folder; what an engine is to open.

    form: a key of MODEL.weights (KeyError otherwise). awq needs torch and safetensors, the others nothing.
    """
    return _WRITERS[form](folder)


def _write_awq(folder: Path) -> Path:
    """As --prepare makes it, so that what is checked is what runs."""
    from pipeline.worker.convert import rtn_awq

    source, target = folder / "source", folder / "awq"
    source.mkdir()
    target.mkdir()
    rtn_awq.convert(checkpoint.write(source), target, texts=(), bos_id=llama.BOS_ID)
    return target


_WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "hf": checkpoint.write,
    "awq": _write_awq,
    # the same layout; its converter is tried in its own image
    "awq-autoawq": _write_awq,
    "gguf": gguf.write,
}
