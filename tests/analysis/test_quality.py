"""ROUGE on real pairs, against rouge-score itself and against the published value."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from pipeline.analysis.quality import AHEAD, CHUNK, Means, RougeScores, processes_for, score, scoring_settings
from pipeline.analysis.sentences import split_sentences
from pipeline.machine import usable_cpus
from pipeline.measures import DocumentResult, Quality

LEGACY = Path(__file__).parent.parent / "data" / "legacy" / "data_10_a100_default_batchsize-2.json"


def scored(texts: Sequence[str], references: Sequence[str], processes: int = 1) -> list[RougeScores]:
    return list(score(zip(texts, references, strict=True), processes))


def quality_of(texts: Sequence[str], references: Sequence[str]) -> Quality:
    """As a job has it once its documents are scored."""
    means = Means()
    for number, (one, text) in enumerate(zip(scored(texts, references), texts, strict=True)):
        means.add(DocumentResult(id=str(number), text=text, finish_reason="stop", **asdict(one)), copied=False)
    return means.summary(scoring_settings())


@pytest.fixture(scope="module")
def pairs() -> tuple[list[str], list[str]]:
    """Predictions and references of a published run."""
    records = json.loads(LEGACY.read_text(encoding="utf-8"))
    return [record["pred_summary"] for record in records], [record["gt_summary"] for record in records]


def test_rouge1_of_the_published_pairs_is_the_plain_mean_without_stemming(pairs: tuple[list[str], list[str]]) -> None:
    quality = quality_of(*pairs)
    assert quality.rouge1_f1 == pytest.approx(0.289367, abs=1e-6)


def test_stemming_would_give_another_figure(pairs: tuple[list[str], list[str]]) -> None:
    stemming = RougeScorer(["rouge1"], use_stemmer=True)
    found = [stemming.score(reference, text)["rouge1"].fmeasure for text, reference in zip(*pairs, strict=True)]
    assert sum(found) / len(found) == pytest.approx(0.317, abs=5e-4)


def test_each_document_equals_rouge_scores_own_f1(pairs: tuple[list[str], list[str]]) -> None:
    own = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False)
    for scores, text, reference in zip(scored(*pairs), *pairs, strict=True):
        expected = own.score(reference, text)
        lines = own.score("\n".join(split_sentences(reference)), "\n".join(split_sentences(text)))
        assert scores.rouge1_f1 == pytest.approx(expected["rouge1"].fmeasure, abs=1e-9)
        assert scores.rouge2_f1 == pytest.approx(expected["rouge2"].fmeasure, abs=1e-9)
        assert scores.rougeL_f1 == pytest.approx(expected["rougeL"].fmeasure, abs=1e-9)
        assert scores.rougeLsum_f1 == pytest.approx(lines["rougeLsum"].fmeasure, abs=1e-9)


def test_lsum_compares_sentence_by_sentence() -> None:
    [scores] = scored(["Dry the cup. Wash the cup."], ["Wash the cup. Dry the cup."])
    assert scores.rougeLsum_f1 == 1.0
    assert scores.rougeL_f1 < 1.0


def test_an_empty_output_scores_0_and_is_counted() -> None:
    texts = ["", " \n", "Wash the cup."]
    quality = quality_of(texts, ["Wash the cup."] * 3)
    assert quality.empty_outputs == 2
    assert quality.rouge1_f1 == pytest.approx(1 / 3)
    assert quality.output_words_mean == 1.0


def test_no_outputs_have_no_quality_rather_than_quality_0() -> None:
    quality = Means().summary(scoring_settings())
    assert quality.rouge1_f1 is None
    assert quality.output_words_mean is None
    assert quality.coverage_mean is None


def test_means_over_documents_leave_out_those_without_the_figure() -> None:
    means = Means()
    means.add(DocumentResult(id="1", text="", finish_reason="stop", rouge1_f1=0.0), copied=False)
    whole = DocumentResult(id="2", text="a b", finish_reason="length", rouge1_f1=0.5, coverage=1.0, density=2.0)
    means.add(whole, copied=True)
    quality = means.summary(scoring_settings())
    assert (quality.rouge1_f1, quality.coverage_mean, quality.density_mean) == (0.25, 1.0, 2.0)
    assert (quality.repetition_mean, quality.hit_limit, quality.copied_outputs) == (None, 1, 1)


def test_processes_change_no_value(pairs: tuple[list[str], list[str]]) -> None:
    texts, references = pairs[0] * 11, pairs[1] * 11  # more than one process's share
    assert scored(texts, references, processes=2) == scored(texts, references, processes=1)


def test_few_documents_are_not_worth_a_process_and_many_take_no_more_than_there_are_processors(
    pairs: tuple[list[str], list[str]],
) -> None:
    both = list(zip(*pairs, strict=True))
    assert processes_for(both, len(both)) == 1
    assert processes_for(both * 2_000, len(both) * 2_000) == usable_cpus()


def test_how_many_processes_many_documents_are_worth_is_told_from_the_first(
    pairs: tuple[list[str], list[str]],
) -> None:
    both = list(zip(*pairs, strict=True))
    assert processes_for(both, 1_000_000) == usable_cpus()
    assert processes_for([], 0) == 1


@given(
    st.text(max_size=100) | st.lists(st.sampled_from(["Wash", "it.", "Dr.", "É!", "no", "\x1c", "\n"])).map(" ".join)
)
def test_splitting_into_sentences_leaves_rouge_scores_words_as_they_are(text: str) -> None:
    words = DefaultTokenizer().tokenize
    assert words("\n".join(split_sentences(text))) == words(text)


def test_settings_say_how_it_was_computed(pairs: tuple[list[str], list[str]]) -> None:
    settings = quality_of(*pairs).settings
    assert settings["library"] == "rouge-score"
    assert settings["version"]
    assert settings["stemmer"] is False
    assert settings["aggregation"] == "mean over documents"
    assert set(settings["sentence_splitter"]) == {"name", "version"}


@pytest.mark.parametrize("processes", [1, 2])
def test_pairs_are_taken_no_further_ahead_than_keeps_the_processes_busy(processes: int) -> None:
    taken = 0

    def endless() -> Iterator[tuple[str, str]]:
        nonlocal taken
        while True:
            taken += 1
            yield "Wash the cup.", "Dry the cup."

    found = score(endless(), processes)
    for _ in range(3):
        next(found)
    assert taken <= 3 if processes == 1 else taken <= CHUNK * (AHEAD * processes + 1)
    found.close()
