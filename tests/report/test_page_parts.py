"""What the report's page is made of: its charts, cells and documents, without a browser."""

import json
import re
from dataclasses import replace
from typing import Literal

import pytest

from pipeline.comparison.estimates import Estimate, Gate, Interval
from pipeline.measures import Roofline
from pipeline.report.html import bars, cells, columns, distributions, pareto, render, speeds
from pipeline.report.html.documents import documents_json
from pipeline.report.html.keyfigures import key_figures
from pipeline.report.model import Document, Report, TimeSplit
from tests.browser.factory import BELOW, RANKED, make_report, on_random_weights

REPORT = make_report(50)
TABLE = REPORT.tables[0]
RANDOM = on_random_weights(REPORT)
CHARTS = {
    "pareto": pareto.draw,
    "speed": speeds.draw,
    "memory": bars.memory,
    "time": bars.time,
    "latency": distributions.draw,
}


@pytest.fixture(scope="module")
def page() -> str:
    return render(REPORT)


def point(speed: float, quality: float) -> pareto.Point:
    return pareto.Point(TABLE.rows[0], speed, quality, None, None)


def test_the_frontier_is_what_no_other_beats_at_both_slowest_first() -> None:
    slow, middle, fast = point(1, 0.3), point(2, 0.25), point(3, 0.2)
    beaten, twin = point(1.5, 0.2), point(2, 0.24)
    assert pareto.frontier([fast, beaten, slow, twin, middle]) == [slow, middle, fast]
    assert pareto.frontier([]) == []


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_in_the_pages_colours_with_text_as_text(name: str) -> None:
    chart = CHARTS[name](TABLE, name)
    assert chart is not None
    picture = str(chart.picture)
    assert re.findall(r"#[0-9a-f]{6}\b|style=|font-family", picture) == []
    assert f">{'vllm-fp8'}</text>" in picture
    told = re.search(r"<desc[^>]*>([^<]+)</desc>", picture)
    assert told is not None
    assert all(experiment in told[1] for experiment in [*RANKED, *BELOW])


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_nothing_known_is_left_out(name: str) -> None:
    bare = tuple(row for row in TABLE.rows if row.standing in ("reference", "failed", "skipped"))
    assert CHARTS[name](replace(TABLE, rows=bare, documents=()), name) is None


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_one_launch_without_intervals_is_drawn(name: str) -> None:
    def alone(value: Estimate | None) -> Estimate | None:
        return value and replace(value, n=1, interval=None, why="one launch")

    rows = tuple(
        replace(row, docs_per_s=alone(row.docs_per_s), launches=row.launches[:1], differences={}) for row in TABLE.rows
    )
    assert CHARTS[name](replace(TABLE, rows=rows, documents=TABLE.documents[:2]), name) is not None


def test_upright_bars_are_each_rows_own_interval_the_baselines_too() -> None:
    chart = pareto.draw(TABLE, "pareto")
    assert chart is not None
    assert "none: 2.020 docs/s (1.990 to 2.050), ROUGE-1 F1 0.2583 (0.2463 to 0.2703)" in str(chart.picture)
    assert "each row's own ROUGE-1 F1 over documents" in chart.caption


def test_no_two_charts_share_an_id(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_time_that_is_neither_prefill_nor_decode_is_shown_as_such() -> None:
    row = replace(TABLE.rows[0], time=TimeSplit(1.0, None, 1.0, 10.0, 2.0, 5.0))
    assert [part.value(row) for part in bars.GENERATING] == [2.0, 5.0, 3.0]


def test_memory_beyond_the_known_parts_is_not_split() -> None:
    row = TABLE.rows[0]
    row = replace(row, memory=replace(row.memory, peak=4 * 2**30, weights=3 * 2**30, kv_cache=None, overhead=None))
    row = replace(row, memory=replace(row.memory, activations=None))
    assert [part.value(row) for part in bars.MEMORY] == [3.0, None, None, None, 1.0]


def test_an_estimate_without_an_interval_says_why() -> None:
    cell = cells.estimate(Estimate(2.0, 3, why="fewer than 5 launches"), 2, "not timed")
    assert (cell.text, cell.below, cell.tip) == ("2.00", None, "no interval: fewer than 5 launches")


def test_an_estimates_interval_stands_below_it_with_its_method() -> None:
    interval = Interval(1.9, 2.1, 0.95, "t interval over launches")
    cell = cells.estimate(Estimate(2.0, 5, interval), 1, "not timed", "×")
    assert (cell.text, cell.below, cell.tip) == ("2.0×", "1.9 to 2.1", "95% interval, t interval over launches, n = 5")


def test_an_unknown_figure_is_a_dash_with_its_reason_and_no_place_in_the_order() -> None:
    assert cells.figure(None, 2, "no price") == cells.Cell("–", sort=None, tip="no price")


@pytest.mark.parametrize(("value", "text"), [(0.0012, "+0.001"), (-0.0012, "−0.001"), (-0.0001, "±0.000")])
def test_a_difference_shows_its_sign(value: float, text: str) -> None:
    assert cells.signed(value, 3) == text


def test_an_undecided_gate_says_how_many_documents_would_decide() -> None:
    cell = cells.gate(Gate("undecided", "the interval holds the margin", (), docs_needed=1400), "")
    assert (cell.text, cell.below) == ("? undecided", "≈ 1,400 documents would decide")


def test_the_slowdown_that_launches_would_show_is_a_dash_with_its_reason_where_they_are_too_few() -> None:
    [column] = [
        one for group in columns.groups(REPORT, TABLE) for one in group.columns if one.header == "Slowdown found"
    ]
    known, baseline = (next(row for row in TABLE.rows if row.experiment == name) for name in ("vllm", "none"))
    few = replace(known, speed_ratio=Estimate(2.0, 2, why="2 common launches"), speed_detectable=None)
    assert column.cell(known).text == "3.0"
    assert column.cell(few) == cells.unknown("2 common launches")
    assert column.cell(baseline).tip == "this is the baseline, or not compared with one"


def column(group: str, header: str) -> columns.Column:
    groups = {one.name: one for one in columns.groups(REPORT, TABLE)}
    return next(one for one in groups[group].columns if one.header == header)


def bounded(fraction: float, kind: Literal["listed", "measured"] = "listed") -> Roofline:
    roofline = TABLE.rows[0].roofline
    assert roofline is not None
    return replace(roofline, fraction=fraction, rates=replace(roofline.rates, kind=kind))


def test_a_limit_is_named_after_the_rates_that_it_is_by() -> None:
    measured = bounded(0.5, "measured")
    both = replace(TABLE.rows[0], roofline=bounded(0.4), roofline_measured=measured)
    alone = replace(TABLE.rows[0], roofline=measured, roofline_measured=measured)
    tips = [column("resources", "Of the limit").cell(row).tip or "" for row in (both, alone)]
    assert [re.findall(r"(?:\d+% )?by \w+ rates", tip) for tip in tips] == [
        ["by listed rates", "50% by measured rates"],
        ["by measured rates"],
    ]


def test_a_share_of_the_limit_is_never_rounded_to_nothing() -> None:
    row = replace(TABLE.rows[0], roofline=bounded(0.002), roofline_measured=bounded(0.003, "measured"))
    cell = column("resources", "Of the limit").cell(row)
    assert cell.text == "<1"
    assert cell.tip is not None and "<1% by measured rates" in cell.tip
    assert key_figures(replace(TABLE, rows=(row,)))[-1].text == "<1%"


@pytest.mark.parametrize(
    ("group", "header"),
    [
        ("published", "Speed"),
        ("comparison", "Against none"),
        ("resources", "Peak memory"),
        ("resources", "Energy"),
        ("resources", "Cost"),
        ("resources", "Of the limit"),
        ("latency", "First token"),
        ("memory", "Overhead"),
    ],
)
def test_dashes_of_a_row_without_a_speed_say_that_it_was_not_timed(group: str, header: str) -> None:
    bare = next(row for row in TABLE.rows if row.standing == "reference")
    resumed = replace(bare, standing="ranked", speed_ratio=None)
    assert column(group, header).cell(resumed) == cells.unknown("not timed")


def test_the_latency_charts_caption_names_what_is_drawn() -> None:
    def caption(*kept: int) -> str:
        """Of as many documents of each experiment as are kept; the last of these numbers goes for all others."""
        names = [row.experiment for row in TABLE.rows]
        most = {name: kept[min(place, len(kept) - 1)] for place, name in enumerate(names)}
        documents = tuple(
            replace(one, outputs={name: output for name, output in one.outputs.items() if number < most[name]})
            for number, one in enumerate(TABLE.documents)
        )
        chart = distributions.draw(replace(TABLE, documents=documents), "latency")
        assert chart is not None
        return chart.caption.partition("median. ")[2]

    ticks, dots = "Small ticks: the 90th and 99th percentile.", "A dot a document."
    assert [caption(50), caption(5), caption(50, 5)] == [ticks, dots, f"{dots} {ticks}"]


def test_a_part_of_the_documents_says_of_how_many_it_is() -> None:
    part = replace(TABLE, documents=TABLE.documents[:30])
    chart = distributions.draw(part, "latency")
    assert chart is not None and chart.caption.startswith("Over 30 of 50 documents of the first launch;")
    assert [json.loads(documents_json(replace(REPORT, tables=(one,))))["tables"][0]["of"] for one in (part, TABLE)] == [
        50, None,
    ]  # fmt: skip


def test_a_score_stands_over_its_interval() -> None:
    [column] = [one for group in columns.groups(REPORT, TABLE) for one in group.columns if one.header == "ROUGE-2"]
    assert column.cell(TABLE.rows[0]).below == "0.0590 to 0.0830"


def test_signs_of_degenerate_outputs_have_columns() -> None:
    kept, _ = columns.known(columns.groups(REPORT, TABLE), TABLE.rows)
    headers = {column.header for group in kept for column in group.columns}
    assert {"Empty", "Cut off", "Copied", "Coverage", "Density", "Repetition"} <= headers


def test_columns_without_a_figure_in_any_row_are_named_and_left_out() -> None:
    rows = [replace(row, energy_per_doc_j=None) for row in TABLE.rows]
    kept, left_out = columns.known(columns.groups(REPORT, TABLE), rows)
    assert "Energy" in left_out
    assert "Energy" not in [column.header for group in kept for column in group.columns]


@pytest.mark.parametrize(("name", "drawn"), [(name, name != "pareto") for name in CHARTS])
def test_random_weights_have_every_chart_but_that_of_quality(name: str, drawn: bool) -> None:
    assert (CHARTS[name](RANDOM.tables[0], name) is not None) == drawn


def test_columns_of_quality_are_none_of_random_weights_though_a_reference_line_has_figures() -> None:
    kept, left_out = columns.known(columns.groups(RANDOM, RANDOM.tables[0]), RANDOM.tables[0].rows)
    assert RANDOM.tables[0].rows[-3].score("rouge1_f1") is not None
    assert "quality" not in [group.name for group in kept]
    headers = [column.header for group in kept for column in group.columns] + left_out
    assert not any(re.search("ROUGE|BERT|Gate|Empty|Copied|Coverage", header) for header in headers)
    assert [column.header for group in kept for column in group.columns if group.name == "outputs"] == [
        "Documents",
        "Prompt",
        "Output",
    ]


def test_the_key_figures_of_random_weights_say_speed_only_in_place_of_quality() -> None:
    labels = [one.label for one in key_figures(TABLE)]
    random = [(one.label, one.text) for one in key_figures(RANDOM.tables[0])]
    assert labels[2] == "ROUGE-1 F1"
    assert random[2] == ("quality is not known", "speed only")


def test_what_was_written_on_random_weights_is_not_in_the_page() -> None:
    value = json.loads(documents_json(replace(RANDOM, tables=(*RANDOM.tables, TABLE))))
    assert [table["name"] for table in value["tables"]] == ["real weights"]
    assert json.loads(documents_json(RANDOM)) == {"texts": [], "tables": []}


def test_documents_that_tables_share_are_written_once() -> None:
    both = replace(REPORT, tables=(TABLE, replace(TABLE, scenario="single")))
    value = json.loads(documents_json(both))
    assert len(value["texts"]) == len(TABLE.documents)
    assert [table["documents"][3][1] for table in value["tables"]] == [3, 3]


def test_the_documents_element_holds_no_markup_and_gives_every_text_back() -> None:
    text = "</script><!-- <b>&amp;\u2028 'x' \"y\" \\u003c"
    document = Document("1", text, None, {})
    written = documents_json(replace(REPORT, tables=(replace(TABLE, documents=(document,)),)))
    assert not set("<>&") & set(written)
    assert json.loads(written)["texts"] == [[text.replace("\u2028", "\n"), None]]


def test_the_policy_allows_the_pages_own_script_and_style_alone(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy[1]


def test_a_page_is_the_same_whenever_it_is_made(page: str) -> None:
    assert render(REPORT) == page


def test_a_report_of_nothing_is_a_page() -> None:
    page = render(Report((), (), (), "", "Nothing ran.", (), (), (), (), ()))
    assert "Nothing ran." in page


def test_a_table_without_a_baseline_has_its_figures() -> None:
    rows = tuple(replace(row, speed_ratio=None, differences={}, gate=None) for row in TABLE.rows)
    page = render(replace(REPORT, tables=(replace(TABLE, rows=rows, baseline=None),)))
    assert "21.600" in page
    assert "Against none" not in page
