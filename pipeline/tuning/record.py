"""What tuning leaves in its run's folder: tuning.json, its types, reader and writer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline import codec
from pipeline.entries import Scenario
from pipeline.errors import UsageError
from pipeline.files import read_json, write_json
from pipeline.names import Name
from pipeline.results import Status
from pipeline.spec import Workload
from pipeline.tuning.space import Changes

TUNING_FILE = "tuning.json"

Why = Literal["untuned", "alone", "search", "path"]
"""untuned: the experiment as it is. alone: one setting changed. search: suggested. path: on the way to the best."""
Judgement = Literal["pass", "fail", "undecided", "unknown"]
"""Of the quality gate; unknown with random weights, whose outputs say nothing."""


@dataclass(frozen=True)
class Trial:
    """One job. experiment: its row in the report. seconds: on the clock, from its start to its result."""

    experiment: Name
    settings: Mapping[str, Any]
    why: Why
    status: Status
    docs_per_s: float | None
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class Step:
    """One setting more on the way from untuned to the best. gain: the factor over the step before, None for the
    untuned row, which changes nothing."""

    setting: str | None
    value: Any
    experiment: Name
    docs_per_s: float
    gain: float | None


@dataclass(frozen=True)
class Judged:
    """A trial that was faster than the untuned row, and what the quality gate says of its outputs against that."""

    experiment: Name
    judgement: Judgement
    reason: str


@dataclass(frozen=True)
class Tuning:
    """All of it. gpu: as --gpu names it. path: from the untuned row to the best. best: the fastest, by its row. judged:
    what was faster than the untuned row. kept: the row that became the preset; None where none did. why_not: why the
    best did not. left: whether the search had more to try when its time was over. workload: what it was tuned over."""

    of: Name
    model: Name | None
    gpu: Name
    scenario: Scenario
    docs: int
    budget_s: float
    spent_s: float
    trials: tuple[Trial, ...]
    path: tuple[Step, ...] = ()
    best: Name | None = None
    judged: tuple[Judged, ...] = ()
    kept: Name | None = None
    preset: Name | None = None
    why_not: str | None = None
    left: bool = True
    workload: Workload | None = None

    @property
    def untuned(self) -> Trial | None:
        """The experiment as it is; None before it ran."""
        return next((trial for trial in self.trials if trial.why == "untuned"), None)

    def known(self, changes: Changes) -> Trial | None:
        """The trial with exactly these changes."""
        return next((trial for trial in self.trials if dict(trial.settings) == dict(changes)), None)


def write_tuning(folder: Path, tuning: Tuning) -> None:
    """Write tuning.json atomically."""
    write_json(folder / TUNING_FILE, codec.encode(tuning))


def read_tuning(folder: Path) -> Tuning | None:
    """What an earlier command left; None for nothing. A UsageError for a damaged file, with the mend."""
    path = folder / TUNING_FILE
    if not path.exists():
        return None
    try:
        return codec.decode(Tuning, read_json(path), str(path))
    except UsageError as error:
        raise UsageError(f"{error}; move it away to tune from the start") from error
