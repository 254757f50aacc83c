"""ROUGE on real pairs, against rouge-score itself and against the published value."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from pipeline.analysis.quality import RougeScores, processes_for, score, summarize
from pipeline.analysis.sentences import split_sentences
from pipeline.machine import usable_cpus
from pipeline.measures import DocumentResult

LEGACY = Path(__file__).parent.parent / "data" / "legacy" / "data_10_a100_default_batchsize-2.json"


def documents(scores: Sequence[RougeScores], texts: Sequence[str]) -> list[DocumentResult]:
    """As a job has them once they are scored."""
    return [
        DocumentResult(id=str(number), text=text, finish_reason="stop", **asdict(one))
        for number, (one, text) in enumerate(zip(scores, texts, strict=True))
    ]


@pytest.fixture(scope="module")
def pairs() -> tuple[list[str], list[str]]:
    """Predictions and references of a published run."""
    records = json.loads(LEGACY.read_text(encoding="utf-8"))
    return [record["pred_summary"] for record in records], [record["gt_summary"] for record in records]


def test_rouge1_of_the_published_pairs_is_the_plain_mean_without_stemming(pairs: tuple[list[str], list[str]]) -> None:
    quality = summarize(documents(score(*pairs), pairs[0]), 0)
    assert quality.rouge1_f1 == pytest.approx(0.289367, abs=1e-6)


def test_stemming_would_give_another_figure(pairs: tuple[list[str], list[str]]) -> None:
    stemming = RougeScorer(["rouge1"], use_stemmer=True)
    found = [stemming.score(reference, text)["rouge1"].fmeasure for text, reference in zip(*pairs, strict=True)]
    assert sum(found) / len(found) == pytest.approx(0.317, abs=5e-4)


def test_each_document_equals_rouge_scores_own_f1(pairs: tuple[list[str], list[str]]) -> None:
    own = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False)
    for scores, text, reference in zip(score(*pairs), *pairs, strict=True):
        expected = own.score(reference, text)
        lines = own.score("\n".join(split_sentences(reference)), "\n".join(split_sentences(text)))
        assert scores.rouge1_f1 == pytest.approx(expected["rouge1"].fmeasure, abs=1e-9)
        assert scores.rouge2_f1 == pytest.approx(expected["rouge2"].fmeasure, abs=1e-9)
        assert scores.rougeL_f1 == pytest.approx(expected["rougeL"].fmeasure, abs=1e-9)
        assert scores.rougeLsum_f1 == pytest.approx(lines["rougeLsum"].fmeasure, abs=1e-9)


def test_lsum_compares_sentence_by_sentence() -> None:
    [scores] = score(["Dry the cup. Wash the cup."], ["Wash the cup. Dry the cup."])
    assert scores.rougeLsum_f1 == 1.0
    assert scores.rougeL_f1 < 1.0


def test_an_empty_output_scores_0_and_is_counted() -> None:
    texts = ["", " \n", "Wash the cup."]
    quality = summarize(documents(score(texts, ["Wash the cup."] * 3), texts), 0)
    assert quality.empty_outputs == 2
    assert quality.rouge1_f1 == pytest.approx(1 / 3)
    assert quality.output_words_mean == 1.0


def test_no_outputs_have_no_quality_rather_than_quality_0() -> None:
    quality = summarize([], 0)
    assert quality.rouge1_f1 is None
    assert quality.output_words_mean is None
    assert quality.coverage_mean is None


def test_means_over_documents_leave_out_those_without_the_figure() -> None:
    quality = summarize(
        [
            DocumentResult(id="1", text="", finish_reason="stop", rouge1_f1=0.0),
            DocumentResult(id="2", text="a b", finish_reason="length", rouge1_f1=0.5, coverage=1.0, density=2.0),
        ],
        copied_outputs=1,
    )
    assert (quality.rouge1_f1, quality.coverage_mean, quality.density_mean) == (0.25, 1.0, 2.0)
    assert (quality.repetition_mean, quality.hit_limit, quality.copied_outputs) == (None, 1, 1)


def test_processes_change_no_value(pairs: tuple[list[str], list[str]]) -> None:
    texts, references = pairs[0] * 11, pairs[1] * 11  # more than one process's share
    assert score(texts, references, processes=2) == score(texts, references, processes=1)


def test_few_documents_are_not_worth_a_process_and_many_take_no_more_than_there_are_processors(
    pairs: tuple[list[str], list[str]],
) -> None:
    both = list(zip(*pairs, strict=True))
    assert processes_for(both) == 1
    assert processes_for(both * 2_000) == usable_cpus()


@given(
    st.text(max_size=100) | st.lists(st.sampled_from(["Wash", "it.", "Dr.", "É!", "no", "\x1c", "\n"])).map(" ".join)
)
def test_splitting_into_sentences_leaves_rouge_scores_words_as_they_are(text: str) -> None:
    words = DefaultTokenizer().tokenize
    assert words("\n".join(split_sentences(text))) == words(text)


def test_settings_say_how_it_was_computed(pairs: tuple[list[str], list[str]]) -> None:
    settings = summarize(documents(score(*pairs), pairs[0]), 0).settings
    assert settings["library"] == "rouge-score"
    assert settings["version"]
    assert settings["stemmer"] is False
    assert settings["aggregation"] == "mean over documents"
    assert set(settings["sentence_splitter"]) == {"name", "version"}


def test_lists_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError):
        score(["a"], ["a", "b"])
