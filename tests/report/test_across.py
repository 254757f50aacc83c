"""Machines side by side: what shares a comparison, and how the page tells two of them apart."""

import re

from pipeline.report import html
from pipeline.report.across import grouped
from pipeline.results import Result
from tests.builders import make_report, make_result, make_workload


def on_both(**overrides: object) -> list[Result]:
    return [make_result("none", gpu=gpu, gpu_name=gpu.upper(), **overrides) for gpu in ("t4", "a100")]


def section(*results: Result) -> str:
    """The page's comparisons."""
    page = html.render(make_report(results))
    return page[page.index('<section id="across"') : page.index('<section id="documents"')]


def headings(*results: Result) -> list[str]:
    """Those of the page's comparisons."""
    return re.findall(r"<h3>([^<]*)</h3>", section(*results))


def test_comparisons_are_told_apart_by_what_differs_between_them() -> None:
    results = [*on_both(), *on_both(launcher="docker"), *on_both(workload=make_workload(max_new_tokens=300))]
    assert list(grouped(make_report(results).across)) == [
        "offline, gemma-3-270m, at most 64 new tokens, launcher process",
        "offline, gemma-3-270m, at most 64 new tokens, launcher docker",
        "offline, gemma-3-270m, at most 300 new tokens, launcher process",
    ]


def test_documents_of_one_name_are_told_apart_by_their_fingerprints() -> None:
    results = [*on_both(), *on_both(workload=make_workload(documents_sha256="e" * 64))]
    assert list(grouped(make_report(results).across)) == [
        "offline, gemma-3-270m, 10 documents of howto_en (dddddddd)",
        "offline, gemma-3-270m, 10 documents of howto_en (eeeeeeee)",
    ]


def test_each_comparison_is_a_table_of_the_page_under_what_tells_it_apart() -> None:
    assert headings(*on_both(), *on_both(launcher="docker")) == [
        "offline, gemma-3-270m, launcher process",
        "offline, gemma-3-270m, launcher docker",
    ]


def test_the_only_comparison_of_a_page_needs_no_heading() -> None:
    assert headings(*on_both()) == []


def test_random_weights_are_told_from_real_ones() -> None:
    assert headings(*on_both(), *on_both(synthetic=True)) == [
        "offline, gemma-3-270m, real weights",
        "offline, gemma-3-270m, random weights",
    ]


def test_a_comparison_on_random_weights_alone_says_so() -> None:
    assert headings(*on_both(synthetic=True)) == ["offline, gemma-3-270m, random weights"]


def test_a_comparison_on_random_weights_has_no_scores() -> None:
    assert section(*on_both()).count("<small>ROUGE-1 F1</small>") == 2
    assert "<small>ROUGE-1 F1</small>" not in section(*on_both(synthetic=True))
