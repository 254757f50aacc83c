"""What the tools that calibrate share: the texts they see and those held out, the limit, and what is said of it all."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import BenchmarkError
from pipeline.worker.convert import Conversion, checkpoint
from pipeline.worker.convert.int4 import BITS, GROUP, Layout
from pipeline.worker.convert.perplexity import DOCUMENTS, check_perplexity

WINDOW_TOKENS = 256
WINDOWS = 128
"""At most so many are calibrated on; AutoAWQ's own default is as many, of twice the length."""
WORST_RATIO = 1.5
"""A checkpoint of more than so many times the original's perplexity is not kept. Rounding to nearest, without any
calibration, costs Gemma 3 270M 1.6 times, and small models lose the most."""

Windows = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Tool:
    """A tool that calibrates. package: what is installed. method: of several that it has; None where it has but one.

    quantize: writes config.json and the weights of source into target, calibrated on windows of ids, with the
    source's tokenizer at hand.
    """

    name: str
    package: str
    layout: Layout
    quantize: Callable[[Path, Path, Any, Windows], None]
    method: str | None = None


def convert_with(
    tool: Tool, unsupported: str | None, source: Path, target: Path, texts: Sequence[str], bos_id: int | None
) -> Conversion:
    """See Converter. The first DOCUMENTS texts are held out for the perplexities, the others are calibrated on.

    Raises BenchmarkError, before any long work, for a model that is unsupported (the reason) and without texts to
    calibrate on; and after it for a checkpoint whose perplexity is more than WORST_RATIO times the original's.
    """
    if unsupported is not None:
        raise BenchmarkError(f"{tool.name} can't make a checkpoint of {source}: {unsupported}")
    held_out, documents = texts[:DOCUMENTS], texts[DOCUMENTS:]
    if not documents:
        raise BenchmarkError(
            f"{tool.name} calibrates on text beside the {DOCUMENTS} documents held out, and there are {len(texts)} in "
            "all; give it the data folder that holds the bundled sample"
        )
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    windows = calibration_windows([tokenizer.encode(text, add_special_tokens=False) for text in documents], bos_id)
    if not windows:
        raise BenchmarkError(f"no calibration text has {WINDOW_TOKENS} tokens")
    tool.quantize(source, target, tokenizer, windows)
    checkpoint.copy_companions(source, target)
    before, after = checkpoint.perplexities(source, target, tool.layout, held_out, bos_id)
    check_perplexity(before, after, WORST_RATIO)
    made_with = [f"{tool.name} {importlib.metadata.version(tool.package)}", *([tool.method] if tool.method else [])]
    return Conversion(
        f"{', '.join(made_with)}, {BITS}-bit, group {GROUP}, calibrated on {len(windows)} windows of {WINDOW_TOKENS} "
        f"tokens from {len(documents)} documents; perplexities over {len(held_out)} others",
        after,
        before,
    )


def calibration_windows(documents: Sequence[Sequence[int]], bos_id: int | None) -> list[list[int]]:
    """Windows of exactly WINDOW_TOKENS ids, BOS first in each, taken in turn from all documents; WINDOWS at most."""
    start = [] if bos_id is None else [bos_id]
    size = WINDOW_TOKENS - len(start)
    cut = [[*start, *ids[at : at + size]] for at in range(0, max(map(len, documents)), size) for ids in documents]
    return [window for window in cut if len(window) == WINDOW_TOKENS][:WINDOWS]


def uneven(config: dict[str, Any]) -> str | None:
    """Why a model of config.json's widths has no groups of GROUP inputs; None where nothing there speaks against it."""
    for name in ("hidden_size", "intermediate_size"):
        if config.get(name, 0) % GROUP:
            return f"its {name} {config[name]} is no multiple of the group of {GROUP}"
    return None
