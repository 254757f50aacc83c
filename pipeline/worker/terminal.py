"""What a person sees who runs an image alone: its progress, and a table of one row."""

import sys
import time
from typing import TextIO

from pipeline.figures import gib, name, number, one_line, speed
from pipeline.measures import Metrics
from pipeline.progress import NO_READING, Reading
from pipeline.results import Phase, Result

LINE_PERIOD_S = 10.0
GAP = "  "


class PlainProgress:
    """A Progress that writes a line a phase, and within one a line every LINE_PERIOD_S seconds at most."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._phase = ""
        self._shown = 0.0

    def __call__(self, phase: Phase, done: int, total: int, _reading: Reading = NO_READING, /) -> None:
        now = time.perf_counter()
        if phase == self._phase and now - self._shown < LINE_PERIOD_S:
            return
        self._phase, self._shown = phase, now
        count = f" {done}/{total}" if phase == "generate" else ""
        self._stream.write(f"{phase}{count}\n")  # in one piece, since it also comes from a thread
        self._stream.flush()


def render(result: Result) -> str:
    """The result as a heading and a row, or as the reason why there are no figures."""
    if result.failure is not None:
        return _reason(result)
    metrics = result.metrics or Metrics(docs=0)
    cells = {
        "experiment": name(result.job.experiment),
        "GPU": name(result.job.gpu),
        "model": name(result.job.model),
        "docs": str(metrics.docs),
        "docs/s": speed(metrics.docs_per_s),
        "ROUGE-1 F1": number(result.quality.rouge1_f1 if result.quality else None, 3),
        "peak memory GiB": gib(metrics.peak_memory_bytes),
        "load s": number(result.timing.load_s, 1),
        "output tokens/s": number(metrics.output_tokens_per_s, 1),
    }
    widths = [max(len(heading), len(cell)) for heading, cell in cells.items()]
    rows = (cells.keys(), cells.values())
    lines = (GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    warnings = (f"warning: {one_line(warning)}" for warning in result.warnings)
    return "\n".join([*lines, *warnings])


def _reason(result: Result) -> str:
    assert result.failure is not None
    failure = result.failure
    where = "" if result.status == "skipped" else f" ({one_line(failure.class_)} during {failure.phase})"
    lines = [f"{result.job.experiment}: {result.status}{where}: {one_line(failure.message)}"]
    return "\n".join([*lines, f"→ {one_line(failure.hint)}"] if failure.hint else lines)
