"""What stands in a pair's two files, field by field; what doesn't fit is an error that names the place."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.plain import inside, parse_json, shown

Fields = TypeVar("Fields", "OldDocument", "Totals")

TIMES = ("inference_time", "inference_secs", "batch_inference_time")
"""Of which a document has one at most."""
SMALLEST, LARGEST = 1e-9, 1e12
"""Figures beyond these are no seconds, counts or scores, and their sums and inverses may be more than a float holds."""


@dataclass(frozen=True)
class OldDocument:
    """One entry of a data file.

    inference_time, inference_secs (in the oldest files): of the document alone; batch_inference_time: of its batch.
    url: None in the oldest files, which held the text instead. num_doc_tokens: of the text, without the prompt.
    """

    gt_summary: str
    pred_summary: str
    url: str | None = None
    inference_time: float | None = None
    inference_secs: float | None = None
    batch_inference_time: float | None = None
    batch_id: int | None = None
    num_doc_tokens: int | None = None

    @property
    def alone_s(self) -> float | None:
        """What it took by itself; None where that isn't known."""
        return self.inference_secs if self.inference_time is None else self.inference_time


@dataclass(frozen=True)
class Totals:
    """A results file. pred_score: ROUGE-1 F1, the median of a bootstrap over documents. Times are seconds."""

    total_time: float | None = None
    total_docs: int | None = None
    avg_doc_per_sec: float | None = None
    avg_sec_per_doc: float | None = None
    avg_inf_time: float | None = None
    avg_doc_tokens: float | None = None
    pred_score: float | None = None


def parse_documents(content: bytes, where: str) -> tuple[OldDocument, ...]:
    """The entries of a data file. where: how errors name the file. Other fields than OldDocument's are passed over."""
    value = parse_json(content, where)
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: expected a list of documents, found {shown(value)}; take the file that was written")
    documents = tuple(_parse(OldDocument, entry, inside(where, index)) for index, entry in enumerate(value))
    places: dict[str, int] = {}
    batches: dict[int, float] = {}
    for index, document in enumerate(documents):
        place = inside(where, index)
        for field, text in (("url", document.url), ("gt_summary", document.gt_summary)):
            if text is not None and not text.strip("/ \n"):
                raise UsageError(f"{place}.{field}: is empty; fill it, or remove the document")
        if document.url is not None and (first := places.setdefault(document.url, index)) != index:
            raise UsageError(f"{place}.url: {shown(document.url)} stands in document {first} already; remove one")
        _require_one_time(document, place, batches)
    return documents


def parse_totals(content: bytes, where: str) -> Totals:
    """The fields of a results file; one that holds none of them is an error. where: how errors name the file."""
    value = parse_json(content, where)
    totals = _parse(Totals, value, where)
    if totals == Totals():
        names = ", ".join(field.name for field in dataclasses.fields(Totals))
        raise UsageError(f"{where}: holds none of {names}; take the file that was written beside the data")
    if totals.pred_score is not None and totals.pred_score > 1:
        raise UsageError(f"{where}.pred_score: {totals.pred_score} is no F1, which is 0 to 1; mend the figure")
    return totals


def _parse(kind: type[Fields], value: Any, where: str) -> Fields:
    """Those fields of the value that the type has; null is as good as missing."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected fields, found {shown(value)}; take the file that was written")
    known = {field.name: value[field.name] for field in dataclasses.fields(kind) if field.name in value}
    try:
        found = codec.decode(kind, known, where)
    except UsageError as error:
        raise UsageError(f"{error}; mend the field, or take the pair away") from error
    for name, item in known.items():
        if isinstance(item, int | float) and name != "batch_id" and not (item == 0 or SMALLEST <= item <= LARGEST):
            raise UsageError(f"{where}.{name}: {shown(item)} is out of range; mend the figure, or remove the field")
    return found


def _require_one_time(document: OldDocument, where: str, batches: dict[int, float]) -> None:
    """Raise UsageError for times that contradict each other. batches: the seconds of each so far, added to."""
    given = [name for name in TIMES if getattr(document, name) is not None]
    if len(given) > 1:
        raise UsageError(f"{where}: has {' and '.join(given)}; keep the one that was measured")
    seconds = document.batch_inference_time
    if seconds is None:
        return
    if document.batch_id is None:
        raise UsageError(f"{where}.batch_id: is missing, so nothing says whose batch_inference_time it is; add it")
    if (known := batches.setdefault(document.batch_id, seconds)) != seconds:
        raise UsageError(
            f"{where}.batch_inference_time: {seconds}, and {known} in an earlier document of batch "
            f"{document.batch_id}; mend one of them"
        )
