"""ROUGE of summaries against their references, equal to rouge-score's own F1."""

import multiprocessing
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeline.analysis import degeneracy
from pipeline.analysis.metrics import ExactSum
from pipeline.analysis.sentences import split_sentences
from pipeline.machine import usable_cpus
from pipeline.measures import DocumentResult, Quality

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

WORD_PAIRS_PER_PROCESS = 10_000_000
"""A process takes about a second to start and to import rouge-score. This is work of some three seconds: the time that
it takes to find a longest common subsequence is as the product of both texts' lengths."""

CHUNK = 50
"""Documents that a process is handed at a time: enough to make little of the hand-over, and they differ in length."""

AHEAD = 3
"""Chunks a process that are handed over before the first is waited for."""

ROUGE = ("rouge1_f1", "rouge2_f1", "rougeL_f1", "rougeLsum_f1")
SHAPE = ("coverage", "density", "repetition")


@dataclass(frozen=True)
class RougeScores:
    """One document's F1 values, 0 to 1."""

    rouge1_f1: float
    rouge2_f1: float
    rougeL_f1: float
    rougeLsum_f1: float


def score(pairs: Iterable[tuple[str, str]], processes: int) -> Generator[RougeScores, None, None]:
    """F1 of each pair, a prediction and its reference, in order and without stemming.

    Lsum compares sentence by sentence, so both sides are split by split_sentences first. processes: see processes_for;
    they change no value. They are started afresh, never forked, since a process that has held an engine has threads and
    a GPU's context. Of the pairs no more are taken ahead than keep them busy.
    """
    if processes == 1:
        yield from map(score_pair, pairs)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        under_way: deque[Future[list[RougeScores]]] = deque()
        chunks = iter(pairs)
        while chunk := list(islice(chunks, CHUNK)):
            under_way.append(pool.submit(_score_all, chunk))
            if len(under_way) > AHEAD * processes:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


def _score_all(pairs: Sequence[tuple[str, str]]) -> list[RougeScores]:
    return [score_pair(pair) for pair in pairs]


def score_pair(pair: tuple[str, str]) -> RougeScores:
    """F1 of a prediction against its reference."""
    prediction, reference = pair
    # one sentence a line is how rouge-score takes sentences; to its other measures a line break is a space
    found = _scorer().score("\n".join(split_sentences(reference)), "\n".join(split_sentences(prediction)))
    return RougeScores(*(found[name].fmeasure for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")))


class Means:
    """Adds the quality of scored documents up, one at a time."""

    def __init__(self) -> None:
        self._sums = {name: ExactSum() for name in (*ROUGE, *SHAPE, "output_words")}
        self._empty = self._cut = self._copied = 0

    def add(self, scored: DocumentResult, *, copied: bool) -> None:
        """A document that was generated and scored. copied: as degeneracy.describe found it."""
        for name in (*ROUGE, *SHAPE):
            self._sums[name].add(getattr(scored, name))
        self._sums["output_words"].add(len(scored.text.split()))
        self._empty += not scored.text.strip()
        self._cut += scored.finish_reason == "length"
        self._copied += copied

    def summary(self, settings: Mapping[str, Any]) -> Quality:
        """Plain means over the documents. Words of output_words_mean: between white space. settings: see Quality."""
        means = {f"{name}_mean": self._sums[name].mean for name in (*SHAPE, "output_words")}
        return Quality(
            **{name: self._sums[name].mean for name in ROUGE},
            **means,
            empty_outputs=self._empty,
            hit_limit=self._cut,
            copied_outputs=self._copied,
            settings=settings,
        )


def scoring_settings() -> Mapping[str, Any]:
    """With what documents are scored here."""
    return {
        "library": "rouge-score",
        "version": version("rouge-score"),
        "stemmer": False,
        "aggregation": "mean over documents",
        "sentence_splitter": {"name": "Punkt of nltk, untrained", "version": version("nltk")},
        "degeneracy": degeneracy.SETTINGS,
    }


def processes_for(pairs: Sequence[tuple[str, str]], docs: int) -> int:
    """How many processes are worth starting for so many documents, within the processors that there are.

    pairs: the first of them, or all.
    """
    word_pairs = sum(len(prediction.split()) * len(reference.split()) for prediction, reference in pairs)
    expected = word_pairs * docs // len(pairs) if pairs else 0
    return min(usable_cpus(), 1 + expected // WORD_PAIRS_PER_PROCESS)


@cache
def _scorer() -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer  # brings all of nltk, which takes a fifth of a second

    return RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False, split_summaries=False)
