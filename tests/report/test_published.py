"""Published figures beside reproduced ones: which row stands beside which, and what is said to differ."""

from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import UsageError
from pipeline.report.model import PublishedRow
from pipeline.report.published import read_published
from pipeline.results import Result
from tests.builders import make_report, make_result, make_workload

LLAMA = {"model": "llama-2-7b-chat", "gpu": "a100", "gpu_name": "NVIDIA A100-SXM4-40GB", "memory_bytes": 42 * 10**9}
WORK = make_workload(dataset="wikilingua", docs=100)


def beside(*results: Result) -> list[PublishedRow]:
    return list(make_report(results).published)


def find(rows: list[PublishedRow], experiment: str, gpu: str, documents: int = 100) -> PublishedRow:
    return next(row for row in rows if (row.experiment, row.gpu, row.documents) == (experiment, gpu, documents))


def test_the_published_tables_are_whole() -> None:
    """The main table, the other tests and the failed ones, with the figures that were published."""
    tables = read_published()
    assert len(tables.rows) == 8 + 10 + 6
    main = {(row.experiment, row.gpu): (row.docs_per_s, row.rouge1_f1) for row in tables.rows[:8]}
    assert main["vllm-awq", "a100"] == (4.273, 0.234)
    assert main["none", "a100"] == (0.317, 0.280)
    assert main["8-bit", "t4"] == (0.055, 0.275)
    assert [row.docs_per_s for row in tables.rows[18:]] == [None] * 6


def test_every_preset_and_the_model_are_there() -> None:
    catalog, tables = load_catalog(), read_published()
    assert tables.model in catalog.models
    assert {row.preset for row in tables.rows if row.preset} == set(catalog.presets)
    assert {row.gpu for row in tables.rows} <= set(catalog.gpus)


def test_a_row_of_the_preset_on_that_gpu_differs_in_nothing() -> None:
    reproduced = make_result(
        "vllm-awq", 5.0, preset="published-vllm", workload=WORK, docs=100, rouge1_f1=0.24, packages={}, **LLAMA
    )
    row = find(beside(reproduced), "vllm-awq", "a100-40gb")
    assert (row.docs_per_s, row.reproduced_docs_per_s) == (4.273, pytest.approx(5.0))
    assert (row.rouge1_f1, row.reproduced_rouge1_f1) == (0.234, 0.24)
    assert row.differs == ()


def test_newer_software_is_listed() -> None:
    versions = {"torch": "2.13.0", "transformers": "4.36.2"}
    reproduced = make_result("none", preset="published-hf", workload=WORK, docs=100, packages=versions, **LLAMA)
    assert find(beside(reproduced), "none", "a100-40gb").differs == ("software: torch 2.13.0 instead of 2.1.2",)


def test_what_differs_is_listed() -> None:
    here = make_result("none", preset="published-hf", packages={}, batch_size_used=1)
    rows = beside(here)
    assert find(rows, "none", "a100-40gb").differs == (
        "model: gemma-3-270m instead of llama-2-7b-chat",
        "GPU: cpu instead of a100",
        "dataset: howto_en instead of wikilingua",
        "documents: 10 instead of 100",
    )


def test_this_benchmarks_own_settings_are_named_as_such() -> None:
    here = make_result("none", workload=WORK, docs=100, packages={}, **LLAMA)
    [settings] = find(beside(here), "none", "a100-40gb").differs
    assert settings == "settings: this benchmark's instead of published-hf"


def test_the_preset_is_taken_before_a_row_of_other_settings() -> None:
    ours = make_result("none", 9.0, workload=WORK, docs=100, packages={}, **LLAMA)
    theirs = make_result("none", 0.3, preset="published-hf", workload=WORK, docs=100, packages={}, **LLAMA)
    assert find(beside(ours, theirs), "none", "a100-40gb").reproduced_docs_per_s == pytest.approx(0.3)


def test_a_larger_card_of_the_name_is_said() -> None:
    large = {**LLAMA, "memory_bytes": 85 * 10**9}
    row = find(
        beside(make_result("none", preset="published-hf", workload=WORK, docs=100, packages={}, **large)),
        "none",
        "a100-40gb",
    )
    assert row.differs == ("GPU: of 85 GB instead of 40",)


def test_what_nobody_ran_has_no_reproduced_figure() -> None:
    row = find(beside(make_result("none", workload=WORK, docs=100, **LLAMA)), "deepspeed", "a100")
    assert (row.docs_per_s, row.reproduced_docs_per_s, row.differs) == (5.329, None, ())


def test_a_test_that_failed_then_says_so() -> None:
    rows = beside(make_result("none", workload=WORK, docs=100, **LLAMA))
    notes = [row.note for row in rows if row.docs_per_s is None]
    assert "batch size 1; failed: FlashAttention only supports Ampere GPUs or newer" in notes


def test_another_models_runs_have_no_published_figures() -> None:
    assert beside(make_result("none"), make_result("lead-3")) == []


def test_random_weights_stand_beside_no_published_figure() -> None:
    ours = make_result("none", workload=WORK, docs=100, packages={}, **LLAMA)
    random = make_result("vllm-awq", workload=WORK, docs=100, packages={}, synthetic=True, **LLAMA)
    assert beside(random) == []
    assert find(beside(ours, random), "vllm-awq", "a100-40gb").reproduced_docs_per_s is None


def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "published.yaml"
    path.write_text("model: m\ndataset: d\nrows:\n  - {experiment: none, gpu: t4, documents: many}\n")
    with pytest.raises(UsageError, match=r"published.yaml.*rows.*documents: expected int, found 'many'"):
        read_published(path)
