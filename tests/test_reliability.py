"""docs/reliability.md says what the records say."""

from tests.reliability import DOCUMENT, render


def test_the_document_is_made_of_the_records_as_they_are() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run `make docs`"
