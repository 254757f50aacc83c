"""Rows of a table held against its baseline: over which documents, how much faster, at what quality, and what ranks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.comparison.differences import differences
from pipeline.comparison.estimates import Difference
from pipeline.comparison.explanation import explain
from pipeline.comparison.gate import gate
from pipeline.comparison.statistics import detectable_ratio, log_ratios, speed_ratio
from pipeline.figures import one_line
from pipeline.report.model import Row
from pipeline.report.stored import StoredJob

SHORT_HASH = 8


@dataclass(frozen=True)
class Entry:
    """A row on its way into a table, with the launches that it was made from."""

    row: Row
    launches: tuple[StoredJob, ...]

    @property
    def first(self) -> StoredJob:
        """The first launch that came through; the first of all where none did."""
        return next((job for job in self.launches if job.result.status == "ok"), self.launches[0])

    @property
    def document_ids(self) -> pd.Index:
        """Of what its first launch generated, by their hashes; empty where that isn't known."""
        return self.first.document_ids


def find_baseline(entries: Sequence[Entry], experiment: str) -> Entry | None:
    """The ranked entry of that experiment (or row's name); of several the fastest, so that no ratio is flattered.

    One whose prompt ids are not known is none: nothing could be shown to have been asked the same.
    """
    found = [
        entry
        for entry in entries
        if experiment in (entry.first.result.job.experiment, entry.row.experiment)
        and entry.row.standing == "ranked"
        and entry.row.prompt_ids_sha256 is not None
    ]
    return max(found, key=lambda entry: entry.row.docs_per_s.value if entry.row.docs_per_s else 0.0, default=None)


def hold_against(entries: Sequence[Entry], baseline: Entry | None, margin: float) -> list[Entry]:
    """The entries with their standing, and those that can be compared with what they come to beside the baseline.

    margin: the loss of a score, as a share of the baseline's, that the accuracy gate allows.
    """
    standard = baseline.row.prompt_ids_sha256 if baseline else _usual_prompts(entries)
    reasons = {entry.row.experiment: _why_below(entry, baseline, standard) for entry in entries}
    compared = [entry for entry in entries if entry.row.standing == "ranked" and not reasons[entry.row.experiment]]
    found = _differences(compared, baseline) if baseline else {}
    ordinals = _ordinals(entries)
    held = []
    for entry in entries:
        row = entry.row
        if reasons[row.experiment]:
            row = replace(row, standing="below", below_because=reasons[row.experiment])
        elif baseline and row.standing == "ranked":
            row = _timed(row, _speeds(entry, ordinals), _speeds(baseline, ordinals))
            row = replace(row, shared_docs=_shared_documents(entry, baseline))
            if entry is not baseline:
                row = _judged(row, entry, baseline, found.get(row.experiment, {}), margin)
        held.append(replace(entry, row=row))
    return held


def _usual_prompts(entries: Sequence[Entry]) -> str | None:
    ranked = (entry.row.prompt_ids_sha256 for entry in entries if entry.row.standing == "ranked")
    counts = Counter(prompts for prompts in ranked if prompts is not None)
    return counts.most_common(1)[0][0] if counts else None


def _why_below(entry: Entry, baseline: Entry | None, prompts: str | None) -> str | None:
    """What keeps an entry that came through from being ranked, before its quality is looked at."""
    row = entry.row
    if row.standing != "ranked" or entry is baseline:
        return None
    if row.prompt_ids_sha256 is None:
        return "its prompt ids are not known"
    if row.prompt_ids_sha256 != prompts:
        whose = "the baseline's" if baseline else "most rows'"
        return f"its prompt ids ({_short(row.prompt_ids_sha256)}) are not {whose} ({_short(prompts)})"
    if row.docs_per_s is None:
        return "its speed is not known"
    if baseline and _shared_documents(entry, baseline) not in (row.docs_completed, None):
        return "it did not complete the documents that the baseline did"
    if baseline and row.docs_completed != baseline.row.docs_completed:
        return f"it completed {row.docs_completed} documents, the baseline {baseline.row.docs_completed}"
    return None


def _short(sha256: str | None) -> str:
    return one_line(sha256[:SHORT_HASH]) if sha256 else "not known"


def _shared_documents(entry: Entry, baseline: Entry) -> int | None:
    """How many documents both completed; None where that can't be told.

    Without the documents themselves: all of them on both sides, or as many on both sides of the same prompts, since
    what is left out (too long for the model) is decided by the prompts alone.
    """
    if len(entry.document_ids) and len(baseline.document_ids):
        return len(entry.document_ids.intersection(baseline.document_ids))
    mine, base = entry.row, baseline.row
    same_prompts = mine.prompt_ids_sha256 is not None and mine.prompt_ids_sha256 == base.prompt_ids_sha256
    if mine.docs_completed != base.docs_completed or not (same_prompts or mine.docs_completed == mine.docs_asked):
        return None
    return mine.docs_completed


def _ordinals(entries: Sequence[Entry]) -> dict[tuple[str, int], int]:
    """A number for each launch of each run, so that only what ran beside each other is paired."""
    pairs = dict.fromkeys((job.run_folder, job.result.job.launch) for entry in entries for job in entry.launches)
    return {pair: number for number, pair in enumerate(pairs, start=1)}


def _speeds(entry: Entry, ordinals: Mapping[tuple[str, int], int]) -> dict[int, float]:
    jobs = ((job.run_folder, job.result.job.launch, job.docs_per_s) for job in entry.launches)
    return {ordinals[run, launch]: rate for run, launch, rate in jobs if rate is not None}


def _timed(row: Row, mine: Mapping[int, float], base: Mapping[int, float]) -> Row:
    """The row with how many times as fast it is, and what slowdown its launches would show."""
    return replace(row, speed_ratio=speed_ratio(mine, base), speed_detectable=detectable_ratio(log_ratios(mine, base)))


def _differences(entries: Sequence[Entry], baseline: Entry) -> Mapping[str, Mapping[str, Difference]]:
    """From the baseline's, by row and score, over documents that were generated by real weights.

    The length is in tokens where every row counted them, else in words.
    """
    told = {entry.row.experiment: entry.first.generated.scores for entry in entries if entry.first.generated}
    if baseline.first.result.job.synthetic or baseline.row.experiment not in told or len(told) < 2:
        return {}
    counted = all(scores["output_tokens"].notna().all() for scores in told.values())
    other_length = "output_words" if counted else "output_tokens"
    values = {name: scores.drop(columns=other_length) for name, scores in told.items()}
    return differences(values, baseline.row.experiment)


def _judged(row: Row, entry: Entry, baseline: Entry, found: Mapping[str, Difference], margin: float) -> Row:
    """The row with its differences and what the gate makes of them, and why it is slower where that can be told."""
    verdict = gate(found, margin=margin) if found else None
    why = explain(entry.first.result, baseline.first.result)
    row = replace(row, differences=found, gate=verdict, explanation=why)
    if verdict and verdict.verdict == "fail":
        return replace(row, standing="below", below_because=verdict.reason)
    return row
