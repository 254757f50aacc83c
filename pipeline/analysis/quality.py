"""ROUGE of summaries against their references, equal to rouge-score's own F1."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from rouge_score.rouge_scorer import RougeScorer

from pipeline.analysis import degeneracy
from pipeline.analysis.metrics import mean, mean_of_known
from pipeline.analysis.sentences import split_sentences
from pipeline.machine import usable_cpus
from pipeline.measures import DocumentResult, Quality

WORD_PAIRS_PER_PROCESS = 10_000_000
"""A process takes about a second to start and to import rouge-score. This is work of some three seconds: the time that
it takes to find a longest common subsequence is as the product of both texts' lengths."""

CHUNK = 50
"""Documents that a process is handed at a time: enough to make little of the hand-over, and they differ in length."""


@dataclass(frozen=True)
class RougeScores:
    """One document's F1 values, 0 to 1."""

    rouge1_f1: float
    rouge2_f1: float
    rougeL_f1: float
    rougeLsum_f1: float


def score(predictions: Sequence[str], references: Sequence[str], processes: int | None = None) -> list[RougeScores]:
    """F1 of each prediction against the reference at the same place, without stemming.

    Lsum compares sentence by sentence, so both sides are split by split_sentences first. processes: None takes as many
    as the work is worth, this one alone where it is little; it changes no value. They are started afresh, never forked,
    since a process that has held an engine has threads and a GPU's context. ValueError where the two lists differ in
    length.
    """
    pairs = list(zip(predictions, references, strict=True))
    count = processes or processes_for(pairs)
    if count == 1:
        return [score_pair(pair) for pair in pairs]
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(score_pair, pairs, chunksize=CHUNK))


def score_pair(pair: tuple[str, str]) -> RougeScores:
    """F1 of a prediction against its reference."""
    prediction, reference = pair
    # one sentence a line is how rouge-score takes sentences; to its other measures a line break is a space
    found = _scorer().score("\n".join(split_sentences(reference)), "\n".join(split_sentences(prediction)))
    return RougeScores(*(found[name].fmeasure for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")))


def summarize(scored: Sequence[DocumentResult], copied_outputs: int) -> Quality:
    """Plain means over documents that were generated and scored. Words of output_words_mean: between white space.

    copied_outputs: how many of them degeneracy.describe found to be copies.
    """
    return Quality(
        rouge1_f1=mean_of_known(result.rouge1_f1 for result in scored),
        rouge2_f1=mean_of_known(result.rouge2_f1 for result in scored),
        rougeL_f1=mean_of_known(result.rougeL_f1 for result in scored),
        rougeLsum_f1=mean_of_known(result.rougeLsum_f1 for result in scored),
        output_words_mean=mean([len(result.text.split()) for result in scored]),
        empty_outputs=sum(not result.text.strip() for result in scored),
        hit_limit=sum(result.finish_reason == "length" for result in scored),
        copied_outputs=copied_outputs,
        coverage_mean=mean_of_known(result.coverage for result in scored),
        density_mean=mean_of_known(result.density for result in scored),
        repetition_mean=mean_of_known(result.repetition for result in scored),
        settings={
            "library": "rouge-score",
            "version": version("rouge-score"),
            "stemmer": False,
            "aggregation": "mean over documents",
            "sentence_splitter": {"name": "Punkt of nltk, untrained", "version": version("nltk")},
            "degeneracy": degeneracy.SETTINGS,
        },
    )


def processes_for(pairs: Sequence[tuple[str, str]]) -> int:
    """How many processes are worth starting for them, within the processors that there are."""
    word_pairs = sum(len(prediction.split()) * len(reference.split()) for prediction, reference in pairs)
    return min(usable_cpus(), 1 + word_pairs // WORD_PAIRS_PER_PROCESS)


@cache
def _scorer() -> RougeScorer:
    return RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False, split_summaries=False)
