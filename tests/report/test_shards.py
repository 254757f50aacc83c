"""Jobs whose documents were split over several workers, in a report."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.report import csv_file, markdown, terminal
from pipeline.report.build import Options
from pipeline.report.html import render
from pipeline.report.model import Report
from pipeline.results import Result, ShardSummary
from tests.builders import make_report, make_result

SHARDS = 4


def sharded(experiment: str = "vllm", docs_per_s: float = 4.0, devices: int | None = SHARDS, **more: Any) -> Result:
    """A job of four shards, each at a quarter of its speed."""
    rows = tuple(
        ShardSummary(number, "ok", 25, 0, docs_per_s / SHARDS, 60.5, 25.0, 3.5, 2**30, "NVIDIA H200", f"GPU-{number}")
        for number in range(1, SHARDS + 1)
    )
    return replace(make_result(experiment, docs_per_s, shards=SHARDS, **more), shards=rows, devices=devices)


def cost(results: Sequence[Result]) -> float | None:
    return make_report(results, Options(price=3.6)).tables[0].rows[0].cost_per_1000


def test_a_sharded_row_stands_in_a_table_of_its_own_and_is_not_ranked_with_others() -> None:
    tables = make_report([make_result("none", 1.0), sharded()]).tables
    assert [(table.gpu, [row.experiment for row in table.rows]) for table in tables] == [
        ("cpu", ["none"]),
        ("cpu, 4 shards", ["vllm"]),
    ]
    assert tables[1].baseline is None


def test_rows_of_as_many_shards_are_compared() -> None:
    [table] = make_report([sharded("none", 2.0), sharded("vllm", 4.0)]).tables
    ratio = table.rows[0].speed_ratio
    assert ratio is not None and ratio.value == pytest.approx(2.0)


def test_cost_counts_every_gpu_that_was_used() -> None:
    assert cost([make_result("vllm", 4.0)]) == pytest.approx(0.25)
    assert cost([sharded(devices=4)]) == pytest.approx(1.0)
    assert cost([sharded(devices=2)]) == pytest.approx(0.5)


def test_cost_is_unknown_where_the_number_of_gpus_is() -> None:
    assert cost([sharded(devices=None)]) is None


@pytest.fixture
def report() -> Report:
    return make_report([sharded()])


def test_every_shard_has_a_row_in_every_format(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(report)
    for text in (capsys.readouterr().out, markdown.render(report), render(report)):
        for number in range(1, SHARDS + 1):
            assert f"{number} of 4" in text
            assert f"GPU-{number}" in text


def test_the_row_says_of_how_many_shards_it_is(report: Report) -> None:
    text = markdown.render(report)
    assert "offline on cpu, 4 shards" in text
    assert csv_file.records(report)[0]["shards"] == SHARDS


def test_without_shards_nothing_is_said_of_them() -> None:
    text = markdown.render(make_report([make_result("none")]))
    assert "## Shards" not in text and "| shards |" not in text
