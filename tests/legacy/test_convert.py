"""What an old pair becomes: figures of its own texts and times, and null for what its files don't tell."""

import json
from dataclasses import fields
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.legacy.convert import check_score, import_pair
from pipeline.legacy.pairs import PairName
from pipeline.legacy.result import ImportedDocument, ImportedJob, ImportedResult, to_json
from pipeline.measures import DocumentResult
from pipeline.results import JobSummary, Result
from tests.legacy.pairs import SAMPLE, in_batches, old_documents

EXPERIMENTS = load_catalog().experiments
PUBLISHED = PairName("10", "a100", "default_batchsize-2")


def imported(
    documents: Any, totals: Any, pair: PairName = PUBLISHED
) -> tuple[ImportedResult, tuple[ImportedDocument, ...]]:
    return import_pair(pair, json.dumps(documents).encode(), json.dumps(totals).encode(), EXPERIMENTS, "old")


@pytest.fixture(scope="module")
def sample() -> tuple[ImportedResult, tuple[ImportedDocument, ...]]:
    """The published pair."""
    data, results = ((SAMPLE / PUBLISHED.file(kind)).read_bytes() for kind in ("data", "results"))
    return import_pair(PUBLISHED, data, results, EXPERIMENTS, "old")


def test_the_published_pair_has_its_published_figures(
    sample: tuple[ImportedResult, tuple[ImportedDocument, ...]],
) -> None:
    """Row 10 of the published table: none at batch size 2, 0.380 documents a second, ROUGE-1 0.289, 561.3 tokens."""
    result, documents = sample
    assert (result.job.experiment, result.job.gpu, result.settings.batch_size_used) == ("none", "a100", 2)
    assert (result.metrics.docs, len(documents)) == (10, 10)
    assert result.metrics.docs_per_s == pytest.approx(0.38004, abs=1e-5)
    assert result.imported.document_tokens_mean == pytest.approx(561.3)
    assert result.imported.score is not None
    assert result.imported.score.stored == pytest.approx(0.2891, abs=1e-4)
    assert result.warnings == ()


def test_the_published_pairs_score_is_the_recomputed_one_within_a_bootstraps_error(
    sample: tuple[ImportedResult, tuple[ImportedDocument, ...]],
) -> None:
    score = sample[0].imported.score
    assert score is not None
    assert score.recomputed == pytest.approx(0.289367, abs=1e-6)
    assert (score.difference, score.flagged) == (pytest.approx(-0.000265, abs=1e-6), False)


def test_a_batchs_time_is_no_documents_latency(sample: tuple[ImportedResult, tuple[ImportedDocument, ...]]) -> None:
    result, documents = sample
    assert result.metrics.latency_s is None
    assert [(item.latency_s, item.batch_id) for item in documents[:3]] == [(None, 0), (None, 0), (None, 1)]
    assert sum(result.imported.batches_s) == pytest.approx(26.312886)


def test_a_documents_own_time_is_its_latency() -> None:
    result, documents = imported(old_documents(3, inference_time=lambda number: number + 1.0), {"total_time": 6})
    assert [item.latency_s for item in documents] == [1.0, 2.0, 3.0]
    assert result.metrics.latency_s is not None and result.metrics.latency_s.p50 == 2.0


def test_ids_are_those_of_the_prepared_wikilingua(
    sample: tuple[ImportedResult, tuple[ImportedDocument, ...]],
) -> None:
    assert sample[1][0].id == "Change-a-Bathtub-Faucet"


def test_the_oldest_files_name_no_address_and_time_documents_in_inference_secs() -> None:
    """As the published files of ids 0 to 9: the text instead of its URL, and seconds under another name."""
    entries = old_documents(2, doc="A rope.", inference_secs=4.0)
    for entry in entries:
        del entry["url"]
    result, documents = imported(entries, {"avg_inf_time": 4.0, "gt_score": 0.1}, PairName("0", "t4", "4bit"))
    assert [(item.id, item.url, item.latency_s) for item in documents] == [
        ("document-1", None, 4.0),
        ("document-2", None, 4.0),
    ]
    assert (result.imported.urls_sha256, result.metrics.docs_per_s, result.job.scenario) == (None, 0.25, "single")


def test_nothing_is_made_up_that_the_files_do_not_tell() -> None:
    written = to_json(imported(old_documents(), {"pred_score": 0.5})[0])
    unknown = ("model", "model_revision", "backend", "image", "variant", "launcher", "scenario", "launch", "workload")
    assert {name: written["job"][name] for name in unknown} == dict.fromkeys(unknown)
    assert written["job"]["ranked"] is False
    absent = ("environment", "weights", "prompt_ids_sha256", "finished_at", "failure", "roofline")
    assert {name: written[name] for name in absent} == dict.fromkeys(absent)
    figures = ("docs_per_s", "output_tokens_per_s", "prompt_tokens_mean", "output_tokens_mean", "peak_memory_bytes")
    assert {name: written["metrics"][name] for name in figures} == dict.fromkeys(figures)
    assert written["quality"]["hit_limit"] is None and written["quality"]["copied_outputs"] is None


def test_an_experiment_of_no_known_name_keeps_its_own() -> None:
    result, _ = imported(old_documents(), {"total_time": 1}, PairName("26", "A100", "deepspeed"))
    assert (result.job.experiment, result.job.optimization, result.job.gpu) == ("deepspeed", "deepspeed", "a100")


def test_the_key_changes_with_either_file() -> None:
    keys = {
        imported(old_documents(count, **in_batches(2)), {"total_time": seconds})[0].job.key
        for count in (2, 4)
        for seconds in (3, 4)
    }
    assert len(keys) == 4


def test_pairs_over_the_same_articles_share_their_fingerprint_whatever_the_order() -> None:
    documents = old_documents()
    one, other = (imported(entries, {"total_time": 1})[0].imported for entries in (documents, documents[::-1]))
    assert one.urls_sha256 == other.urls_sha256
    assert one.data.sha256 != other.data.sha256


@pytest.mark.parametrize(
    ("difference", "docs", "flagged"),
    [(0.0039, 10, False), (-0.0041, 10, True), (0.0012, 100, False), (0.0014, 100, True), (0.0005, 1000, True)],
)
def test_a_stored_score_is_flagged_beyond_what_a_bootstrap_over_so_many_documents_explains(
    difference: float, docs: int, flagged: bool
) -> None:
    check = check_score(0.25 + difference, 0.25, docs)
    assert check is not None
    assert (check.flagged, check.difference) == (flagged, pytest.approx(difference))


def test_without_a_stored_score_there_is_nothing_to_compare() -> None:
    assert imported(old_documents(), {"total_time": 1})[0].imported.score is None


def test_an_empty_output_counts_as_such() -> None:
    result, _ = imported(old_documents(2, pred_summary=lambda number: "A knot." if number else " "), {"total_time": 1})
    assert (result.quality.empty_outputs, result.quality.output_words_mean) == (1, 1.0)


@pytest.mark.parametrize(
    ("measured", "imported"), [(JobSummary, ImportedJob), (Result, ImportedResult), (DocumentResult, ImportedDocument)]
)
def test_an_imported_one_has_the_fields_of_a_measured_one(measured: type, imported: type) -> None:
    assert {item.name for item in fields(measured)} - {item.name for item in fields(imported)} == set()
