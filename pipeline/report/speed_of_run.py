"""--explain-speed over a run's folder: what lies there, the command without this machine's folders, the document."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.files import require_writable, write_atomically
from pipeline.host.runs import RunFolder
from pipeline.report.make import read_contents, read_runs
from pipeline.report.speed import SpeedReport
from pipeline.report.speed import explain_speed as explain_speed
from pipeline.report.speed_sections import document
from pipeline.report.speed_sections import holds_for as holds_for
from pipeline.report.speed_sections import sections as sections
from pipeline.report.stored import StoredRun


def read_one(folder: RunFolder) -> tuple[StoredRun, list[str]]:
    """The run, and what of it could not be read."""
    contents, unreadable = read_contents([folder])
    [run], absent = read_runs(contents, folder.path)
    return run, [*(f"left out: {fault}" for fault in unreadable), *absent]


def of_one_model(run: StoredRun, models: Sequence[str]) -> StoredRun:
    """The run with the jobs of the one model that --model names, and those without a model.

    A UsageError where the run has none of that model, or several and none was named.
    """
    there = list(dict.fromkeys(job.result.job.model for job in run.jobs if job.result.job.model is not None))
    wanted = list(models) or there
    if len(wanted) > 1:
        raise UsageError(f"--explain-speed {run.name}: it is of {', '.join(wanted)}; name one of them with --model")
    if wanted and there and wanted[0] not in there:
        raise UsageError(f"--model {wanted[0]}: {run.name} holds nothing of it, only of {', '.join(there)}")
    kept = [job for job in run.jobs if job.result.job.model in (None, *wanted)]
    return replace(run, jobs=tuple(kept))


def portable(command: str) -> str:
    """The command with absolute paths as they are reached from here, or by their names where they lie elsewhere."""
    return shlex.join(map(_portable, shlex.split(command)))


def _portable(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    path = Path(value)
    if not path.is_absolute():
        return word
    here = Path.cwd()
    return option + equals + (str(path.relative_to(here)) if path.is_relative_to(here) else path.name)


def require_file(output: Path) -> None:
    """A UsageError where no document can be written to; one that lies there is replaced."""
    if output.is_dir():
        raise UsageError(f"--output {output}: a folder; with --explain-speed it is the file to write, such as speed.md")
    require_writable(output.parent, "the document's folder", "choose another with --output")


def write_document(output: Path, made: SpeedReport) -> None:
    """The whole as Markdown."""
    write_atomically(output, document(made))
