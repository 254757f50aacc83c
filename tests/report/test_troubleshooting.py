"""docs/troubleshooting.md: made from the table, whole, and up to date."""

import re
from dataclasses import replace

from pipeline.analysis.failures import WRAPPER, load_signatures
from pipeline.report.troubleshooting import DOCUMENT, HEADINGS, render

TABLE = load_signatures()
TEXT = render(TABLE)


def test_the_document_is_made_from_the_table() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == TEXT, "run `make docs`"


def test_every_class_has_one_section_and_wrappers_none() -> None:
    sections = re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)
    assert len(sections) == len(set(sections))
    assert set(sections) == {entry.class_ for entry in TABLE} - {WRAPPER}


def test_every_group_of_the_table_has_a_heading() -> None:
    assert {entry.group for entry in TABLE} <= set(HEADINGS)
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE) == list(HEADINGS.values())


def test_a_class_shows_its_cause_fix_examples_and_sources() -> None:
    section = TEXT.split("### cdi_missing\n")[1].split("\n### ")[0]
    first, second = (entry for entry in TABLE if entry.class_ == "cdi_missing")
    assert "Fix: write it again with `nvidia-ctk cdi generate" in section
    assert section.count("Fix: ") == 1
    for entry in (first, second):
        assert entry.example in section
        assert entry.source in section


def test_text_of_the_table_is_no_markup() -> None:
    entry = replace(TABLE[0], cause="a_b *c* <d> `e_f`", class_="x")
    assert "**A\\_b \\*c\\* &lt;d> `e_f`.**" in render([entry])
