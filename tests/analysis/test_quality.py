"""ROUGE on real pairs, against rouge-score itself and against the published value."""

import json
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

from pipeline.analysis.quality import score, summarize
from pipeline.analysis.sentences import split_sentences

LEGACY = Path(__file__).parent.parent / "data" / "legacy" / "data_10_a100_default_batchsize-2.json"


@pytest.fixture(scope="module")
def pairs() -> tuple[list[str], list[str]]:
    """Predictions and references of a published run."""
    records = json.loads(LEGACY.read_text(encoding="utf-8"))
    return [record["pred_summary"] for record in records], [record["gt_summary"] for record in records]


def test_rouge1_of_the_published_pairs_is_the_plain_mean_without_stemming(pairs: tuple[list[str], list[str]]) -> None:
    quality = summarize(score(*pairs), pairs[0])
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
    quality = summarize(score(texts, ["Wash the cup."] * 3), texts)
    assert quality.empty_outputs == 2
    assert quality.rouge1_f1 == pytest.approx(1 / 3)
    assert quality.output_words_mean == 1.0


def test_no_outputs_have_no_quality_rather_than_quality_0() -> None:
    quality = summarize([], [])
    assert quality.rouge1_f1 is None
    assert quality.output_words_mean is None


def test_settings_say_how_it_was_computed(pairs: tuple[list[str], list[str]]) -> None:
    settings = summarize(score(*pairs), pairs[0]).settings
    assert settings["library"] == "rouge-score"
    assert settings["version"]
    assert settings["stemmer"] is False
    assert settings["aggregation"] == "mean over documents"
    assert set(settings["sentence_splitter"]) == {"name", "version"}


def test_lists_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError):
        score(["a"], ["a", "b"])
