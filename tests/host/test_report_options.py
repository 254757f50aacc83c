"""The options of the report."""

import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import UsageError
from pipeline.host.arguments import Arguments, parse
from pipeline.host.launchers.choose import LAUNCHERS

CATALOG = load_catalog()


def parsed(*argv: str) -> Arguments:
    return parse(argv, CATALOG, LAUNCHERS)


def test_runs_to_report_on_are_taken_once_each_and_nothing_is_run() -> None:
    arguments = parsed("--report", "a", "b", "a", "--output", "both")
    assert (arguments.action, arguments.report) == ("report", ("a", "b"))


def test_a_runs_speed_is_explained_and_written_to_a_file_where_one_is_named() -> None:
    arguments = parsed("--explain-speed", "a", "--output", "speed.md")
    assert (arguments.action, arguments.explain_speed) == ("explain_speed", "a")
    assert arguments.reporting.output is not None and arguments.reporting.output.name == "speed.md"


def test_all_formats_are_written_unless_some_are_named() -> None:
    assert parsed("--report", "a").reporting.formats == ("html", "md", "csv", "pdf")
    assert parsed("--report", "a", "--formats", "csv,md,csv").reporting.formats == ("csv", "md")


def test_a_price_counts_for_all_machines_or_for_the_one_that_is_named() -> None:
    reporting = parsed("--all", "--price-per-hour", "1.5", "--price-per-hour", "t4=0.35").reporting
    assert (reporting.price, reporting.prices, reporting.currency) == (1.5, {"t4": 0.35}, "USD")
    assert parsed("--all").reporting.price is None


def test_the_documents_texts_are_in_a_report_unless_they_are_left_out() -> None:
    for action in (("--report", "a"), ("--all",)):
        assert parsed(*action).reporting.texts
        assert not parsed(*action, "--without-texts").reporting.texts


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--report", "a", "b"], "--report of several runs belongs to none of their folders; say where with --output"),
        (["--all", "--output", "x"], "--output is for --report"),
        (["--report", "a", "--formats", "md,odt"], "--formats 'odt': takes html, md, csv, pdf"),
        (["--all", "--price-per-hour", "cheap"], "--price-per-hour 'cheap': write a number from 0"),
        (["--all", "--price-per-hour", "nan"], "write a number from 0"),
        (["--all", "--price-per-hour", "-1"], "write a number from 0"),
        (["--all", "--price-per-hour", "a10o=1"], "unknown GPU 'a10o'; did you mean "),
        (["--all", "--currency", "a whole sentence"], "write a few letters, such as USD"),
        (["--all", "--baseline", "nine"], "unknown experiment 'nine'; did you mean none"),
        (["--report", "a", "--baseline", "../up"], "--baseline: '../up' can't be used"),
    ],
)
def test_a_mistake_is_named(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parsed(*argv)
    assert message in str(raised.value)


@pytest.mark.parametrize("margin", ["-0.1", "1.1", "much", "nan"])
def test_a_margin_is_a_share(margin: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--report", "a", f"--margin={margin}")
    assert "is not a number from 0 to 1" in capsys.readouterr().err
