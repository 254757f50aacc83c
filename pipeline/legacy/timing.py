"""How fast an old experiment was, from its documents' own times, and where its stored figures say otherwise."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

from pipeline.analysis.metrics import mean_if_known
from pipeline.entries import Scenario
from pipeline.figures import number, speed
from pipeline.legacy.content import OldDocument, Totals

TOLERANCE = 0.01
"""By what share two figures of one thing may differ before it is said."""

SpeedFrom = Literal["document times", "batch times", "stored average", "total_time"]


@dataclass(frozen=True)
class OldSpeed:
    """docs_per_s: documents over generate_s, the sum of their times, or of their batches' times, each batch once.

    Where not every document has a time, docs_per_s is the stored average, else generate_s is the stored total_time.
    source: which of these; None where nothing is known. stored_docs_per_s: avg_doc_per_sec, or the inverse of
    avg_sec_per_doc, or of avg_inf_time where documents were timed one by one. batches_s: in the batches' order.
    batch_size: the largest batch's; 1 where documents were timed one by one. scenario: single where they were and the
    file's name doesn't speak of batches, offline where batches were timed, None where nothing tells.
    """

    docs_per_s: float | None
    stored_docs_per_s: float | None
    generate_s: float | None
    source: SpeedFrom | None
    batches_s: tuple[float, ...]
    batch_size: int | None
    scenario: Scenario | None

    @property
    def timed(self) -> bool:
        """Whether it is known from the documents themselves."""
        return self.source in ("document times", "batch times")


def speed_of(documents: Sequence[OldDocument], totals: Totals, batch_size: int | None) -> OldSpeed:
    """The speed of these documents. batch_size: as the file's name has it, None where it has none."""
    docs = len(documents)
    alone = [item.alone_s for item in documents if item.alone_s is not None]
    batched = [item for item in documents if item.batch_inference_time is not None]
    batches = {item.batch_id: item.batch_inference_time or 0.0 for item in batched}
    sizes = Counter(item.batch_id for item in batched)
    one_by_one = bool(alone) and not batched and batch_size in (None, 1)
    stored = _stored(totals, one_by_one)
    seconds, source = _seconds(docs, alone, batches if len(batched) == docs else {}, stored, totals)
    return OldSpeed(
        docs_per_s=docs / seconds if seconds else None,
        stored_docs_per_s=stored,
        generate_s=seconds or None,
        source=source if seconds else None,
        batches_s=tuple(batches.values()),
        batch_size=1 if one_by_one else max(sizes.values(), default=None),
        scenario="single" if one_by_one else "offline" if batched and not alone else None,
    )


def _stored(totals: Totals, one_by_one: bool) -> float | None:
    seconds = totals.avg_sec_per_doc or (totals.avg_inf_time if one_by_one else None)
    return totals.avg_doc_per_sec or (1 / seconds if seconds else None)


def _seconds(
    docs: int, alone: Sequence[float], batches: Mapping[int | None, float], stored: float | None, totals: Totals
) -> tuple[float | None, SpeedFrom]:
    if len(alone) == docs:
        return fsum(alone), "document times"
    if batches:
        return fsum(batches.values()), "batch times"
    if stored:
        return docs / stored, "stored average"
    return totals.total_time, "total_time"


def contradictions(
    documents: Sequence[OldDocument], totals: Totals, found: OldSpeed, batch_size: int | None
) -> tuple[str, ...]:
    """Where a pair's stored figures don't agree with its documents, in sentences. batch_size: see speed_of."""
    docs = len(documents)
    tokens = mean_if_known([item.num_doc_tokens for item in documents])
    told = []
    if totals.total_docs not in (None, docs):
        told.append(f"its results are over {totals.total_docs} documents, its data holds {docs}")
    if found.timed and _differ(found.stored_docs_per_s, found.docs_per_s):
        told.append(f"stored docs/s {speed(found.stored_docs_per_s)}, by the {found.source} {speed(found.docs_per_s)}")
    if found.source != "total_time" and _differ(totals.total_time, found.generate_s):
        told.append(f"total_time is {number(totals.total_time, 1)} s, docs/s counts {number(found.generate_s, 1)} s")
    if _differ(totals.avg_doc_tokens, tokens):
        told.append(f"avg_doc_tokens is {number(totals.avg_doc_tokens, 1)}, the documents' mean {number(tokens, 1)}")
    if batch_size is not None and _other_batches(found, batch_size, any(item.alone_s for item in documents)):
        size = f"the largest batch has {found.batch_size}" if found.batch_size else "documents were timed one by one"
        told.append(f"its name says batch size {batch_size}, but {size}")
    return tuple(told)


def _other_batches(found: OldSpeed, batch_size: int, alone: bool) -> bool:
    """Whether the times are of other batches than the name says; a single one may be smaller, for want of documents."""
    if found.batch_size is None:
        return alone
    return found.batch_size > batch_size or (found.batch_size < batch_size and len(found.batches_s) > 1)


def _differ(stored: float | None, computed: float | None) -> bool:
    """Whether both are known and no two ways of writing one figure."""
    if stored is None or computed is None:
        return False
    return abs(stored - computed) > TOLERANCE * max(abs(stored), abs(computed))
