"""ROUGE of summaries against their references, equal to rouge-score's own F1."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from rouge_score.rouge_scorer import RougeScorer

from pipeline.analysis.metrics import mean
from pipeline.analysis.sentences import split_sentences
from pipeline.measures import Quality


@dataclass(frozen=True)
class RougeScores:
    """One document's F1 values, 0 to 1."""

    rouge1_f1: float
    rouge2_f1: float
    rougeL_f1: float
    rougeLsum_f1: float


def score(predictions: Sequence[str], references: Sequence[str]) -> list[RougeScores]:
    """F1 of each prediction against the reference at the same place, without stemming.

    Lsum compares sentence by sentence, so both sides are split by split_sentences first. ValueError where the two
    lists differ in length.
    """
    whole = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    by_sentence = RougeScorer(["rougeLsum"], use_stemmer=False, split_summaries=False)
    scores = []
    for prediction, reference in zip(predictions, references, strict=True):
        plain = whole.score(reference, prediction)
        lsum = by_sentence.score(_lines(reference), _lines(prediction))["rougeLsum"]
        scores.append(
            RougeScores(plain["rouge1"].fmeasure, plain["rouge2"].fmeasure, plain["rougeL"].fmeasure, lsum.fmeasure)
        )
    return scores


def summarize(scores: Sequence[RougeScores], texts: Sequence[str]) -> Quality:
    """Plain means over documents. texts: the outputs that were scored; words are separated by white space."""
    return Quality(
        rouge1_f1=mean([one.rouge1_f1 for one in scores]),
        rouge2_f1=mean([one.rouge2_f1 for one in scores]),
        rougeL_f1=mean([one.rougeL_f1 for one in scores]),
        rougeLsum_f1=mean([one.rougeLsum_f1 for one in scores]),
        output_words_mean=mean([len(text.split()) for text in texts]),
        empty_outputs=sum(not text.strip() for text in texts),
        settings={
            "library": "rouge-score",
            "version": version("rouge-score"),
            "stemmer": False,
            "aggregation": "mean over documents",
            "sentence_splitter": {"name": "Punkt of nltk, untrained", "version": version("nltk")},
        },
    )


def _lines(text: str) -> str:
    """One sentence a line: the form in which rouge-score takes sentences."""
    return "\n".join(split_sentences(text))
