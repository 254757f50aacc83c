"""A report as values: what the terminal, Markdown, CSV and HTML show, worked out once, with nothing laid out.

A figure that is not known is None, never 0. Times are seconds, memory is bytes, energy is joules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.comparison.estimates import Difference, Estimate, Gate
from pipeline.entries import Scenario
from pipeline.measures import Distribution, Roofline
from pipeline.report.environments import Machine, Software
from pipeline.report.wall_times import CommandTime, JobTime, ShardRow
from pipeline.results import Failure, Status
from pipeline.spec import Workload

BASELINE = "none"
"""The experiment that rows are compared with unless the command names another."""

Standing = Literal["ranked", "below", "unranked", "reference", "failed", "skipped"]
"""ranked: competes. below: fails the accuracy gate, or can't be compared; `below_because` says why. unranked: a preset
of published settings. reference: runs no model. In the order in which a table shows them."""


@dataclass(frozen=True)
class Launch:
    """One job of a row. folder: relative to the report's run folder's parent, the results folder."""

    key: str
    launch: int
    run: str
    folder: str
    status: Status
    docs_per_s: float | None
    repeats: tuple[float, ...]
    has_log: bool


@dataclass(frozen=True)
class MemorySplit:
    """Of the peak, in bytes; see Metrics."""

    peak: int | None
    weights: int | None
    kv_cache: int | None
    activations: int | None
    overhead: int | None


@dataclass(frozen=True)
class TimeSplit:
    """In seconds; means over launches; see Timing."""

    load: float | None
    compile: float | None
    warmup: float | None
    generate: float | None
    prefill: float | None
    decode: float | None


@dataclass(frozen=True)
class Row:
    """One experiment on one GPU, over all its launches that came through, or the failure of those that didn't.

    docs_per_s: over launches. speed_ratio: over the baseline's, launch by launch; speed_detectable: the ratio of the
    smallest slowdown that so many launches find with 80% power (0.95: one of 5%), None for fewer than 5 in common;
    shared_docs: how many documents both completed. scores: by name, the first launch's means over documents;
    differences: from the baseline's, by score; the length's under "output_tokens" or "output_words". cost_per_1000: in
    the report's currency. roofline: of the first launch, by listed rates, or by measured ones where none are listed;
    roofline_measured: by measured ones. explanation: why it is slower than the baseline, where it is and that can be
    told. bounded_by: what took its time, in a word or two. shards: into how many jobs it was split, whose workers share
    the documents; docs_per_s is all of them together, and cost_per_1000 counts each GPU that they used.
    """

    experiment: str
    optimization: str
    gpu: str
    standing: Standing
    below_because: str | None
    status: Status
    failure: Failure | None
    launches: tuple[Launch, ...]
    docs_completed: int | None
    docs_asked: int
    docs_per_s: Estimate | None
    speed_ratio: Estimate | None
    speed_detectable: float | None
    shared_docs: int | None
    scores: Mapping[str, Estimate]
    differences: Mapping[str, Difference]
    gate: Gate | None
    output_words_mean: float | None
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None
    output_tokens_per_s: float | None
    empty_outputs: int | None
    hit_limit: int | None
    copied_outputs: int | None
    coverage_mean: float | None
    density_mean: float | None
    repetition_mean: float | None
    latency_s: Distribution | None
    ttft_s: Distribution | None
    tpot_s: Distribution | None
    time: TimeSplit
    memory: MemorySplit
    energy_per_doc_j: float | None
    cost_per_1000: float | None
    roofline: Roofline | None
    roofline_measured: Roofline | None
    explanation: str | None
    dtype: str | None
    quantization: str | None
    attention: str | None
    batch_size: int | Literal["auto"] | None
    weights_kind: str | None
    prompt_ids_sha256: str | None
    bounded_by: str | None = None
    shards: int = 1

    def score(self, name: str) -> float | None:
        """The mean alone; None where it isn't known."""
        found = self.scores.get(name)
        return found.value if found else None


@dataclass(frozen=True)
class Document:
    """One document and what each experiment made of it.

    id: the dataset's; in a report without texts its place, from 1. document, reference: None where the dataset isn't at
    hand, and in a report without texts.
    """

    id: str
    document: str | None
    reference: str | None
    outputs: Mapping[str, "Output"]


@dataclass(frozen=True)
class Output:
    """An experiment's summary of a document, of its first launch. text: None in a report without texts."""

    text: str | None
    finish_reason: str
    output_tokens: int | None
    latency_s: float | None
    ttft_s: float | None
    scores: Mapping[str, float]
    tpot_s: float | None = None


@dataclass(frozen=True)
class Note:
    """A sentence below a table. warning: the figures may not be comparable; else it only explains them."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """What can be compared: one scenario, model, workload, launcher and GPU.

    synthetic: on random weights, which tell of speed, memory and energy alone: no row that runs a model has a score.
    rows: in the order of Standing, ranked ones fastest first. answer: the outcome in one sentence. baseline: the row
    that others are held against; None where it did not run. samples: docs/s of every launch and seconds of every
    repeat are in the rows' launches. documents: those that are shown, in the order of the workload; see is_shown.
    """

    scenario: Scenario
    model: str | None
    synthetic: bool
    gpu: str
    workload: Workload
    launcher: str
    runs: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    answer: str
    baseline: str | None
    documents: tuple[Document, ...]

    @property
    def shown_of(self) -> int | None:
        """Of how many documents, in the row that completed most, `documents` are a part; None where they are all."""
        most = max((row.docs_completed or 0 for row in self.rows), default=0)
        return most if 0 < len(self.documents) < most else None


@dataclass(frozen=True)
class PublishedRow:
    """A published figure beside the one reproduced here. reproduced: a row's docs/s and ROUGE-1, None where none ran.

    differs: what the reproduced one did not have in common with the published one, as far as that is known; empty where
    none ran.
    """

    experiment: str
    gpu: str
    documents: int
    docs_per_s: float | None
    rouge1_f1: float | None
    note: str | None
    reproduced_docs_per_s: float | None
    reproduced_rouge1_f1: float | None
    differs: tuple[str, ...]


@dataclass(frozen=True)
class ImportedRow:
    """An experiment of old files, with the closest row that was measured; never ranked, and in no table.

    file: its files' common name. docs_per_s: by the documents' own times where they have some; stored_docs_per_s: as it
    stood in the file. rouge1_f1: recomputed from the stored texts; stored_rouge1_f1: the bootstrap median that stood
    beside them; score_flagged: whether the two differ by more than expected. remarks: where stored figures contradict
    each other or what was recomputed. closest: the measured row's name, with its figures, its model and prompt
    (closest_ran) and what it did not have in common with this one as far as that is known; None where no row is of the
    same experiment.
    """

    experiment: str
    file: str
    run: str
    gpu: str
    documents: int
    scenario: Scenario | None
    batch_size: int | None
    docs_per_s: float | None
    stored_docs_per_s: float | None
    rouge1_f1: float | None
    stored_rouge1_f1: float | None
    score_difference: float | None
    score_flagged: bool | None
    output_words_mean: float | None
    remarks: tuple[str, ...]
    closest: str | None = None
    closest_ran: str | None = None
    closest_docs_per_s: float | None = None
    closest_rouge1_f1: float | None = None
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Across:
    """One experiment on several GPUs, in one scenario with one model: table by table, its docs/s.

    synthetic: see Table. group: what the tables have in common, in words; the lines of one group can stand in one
    table.
    """

    experiment: str
    gpus: tuple[str, ...]
    docs_per_s: tuple[Estimate | None, ...]
    rouge1_f1: tuple[float | None, ...]
    cost_per_1000: tuple[float | None, ...]
    scenario: Scenario = "offline"
    model: str | None = None
    synthetic: bool = False
    group: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    commands: that made the runs. currency: of the price, None without one. texts: False where those of documents,
    references and summaries were left out, as was asked for.
    """

    runs: tuple[str, ...]
    labels: tuple[str, ...]
    commands: tuple[str, ...]
    created: str
    answer: str
    tables: tuple[Table, ...]
    across: tuple[Across, ...]
    published: tuple[PublishedRow, ...]
    machines: tuple[Machine, ...]
    software: tuple[Software, ...]
    price_per_hour: float | None = None
    currency: str | None = None
    texts: bool = True
    shards: tuple[ShardRow, ...] = ()
    job_times: tuple[JobTime, ...] = ()
    command_times: tuple[CommandTime, ...] = ()
    imported: tuple[ImportedRow, ...] = ()
