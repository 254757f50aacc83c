"""What a job generated, as a report needs it: the figures of all its documents, and as far as they are shown the
documents themselves. So what is held for each of millions is some numbers."""

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.comparison.estimates import LENGTHS, ROUGE
from pipeline.errors import UsageError
from pipeline.measures import DocumentResult
from pipeline.results import documents_with_offsets

SHOWN = 10_000
"""About so many documents of a job are shown one by one where it has more."""
TOO_LONG = "too_long"
BERTSCORE = "bertscore_f1"


@dataclass(frozen=True)
class Generated:
    """scores: a line a document, by its id's hash in this process, and a column a figure, NaN where it is not known:
    ROUGE, LENGTHS, and BERTSCORE where it was computed. shown: the documents that a report shows, in the same order."""

    scores: pd.DataFrame
    shown: tuple[DocumentResult, ...]

    def shown_with_scores(self) -> Iterator[tuple[DocumentResult, dict[str, float]]]:
        """Each document that is shown, and by name what is known of its ROUGE and BERTScore."""
        names = [name for name in (*ROUGE, BERTSCORE) if name in self.scores]
        lines = self.scores.loc[[hash(item.id) for item in self.shown], names].to_numpy()
        for item, line in zip(self.shown, lines, strict=True):
            yield item, {name: float(value) for name, value in zip(names, line, strict=True) if math.isfinite(value)}


def is_shown(name: str, docs: int) -> bool:
    """Whether the document of that id is among those that are shown of a workload of so many.

    All are where there are no more than SHOWN; else a share of them that an id's hash decides, so that it is the same
    for all rows, whatever else they know of their workload.
    """
    if docs <= SHOWN:
        return True
    return int.from_bytes(sha256(name.encode(errors="surrogatepass")).digest()[:8]) < SHOWN / docs * 2**64


def gather(documents: Iterable[DocumentResult], docs: int) -> Generated:
    """What these documents, of a workload of `docs`, say of themselves."""
    ids = array("q")
    columns = {name: array("d") for name in (*ROUGE, *LENGTHS)}
    shown = []
    for item in documents:
        ids.append(hash(item.id))
        columns["output_words"].append(len(item.text.split()))
        for name in (*ROUGE, "output_tokens"):
            value = getattr(item, name)
            columns[name].append(math.nan if value is None else value)
        if is_shown(item.id, docs):
            shown.append(item)
    scores = {name: np.frombuffer(values) for name, values in columns.items()}
    return Generated(pd.DataFrame(scores, index=pd.Index(np.frombuffer(ids, dtype=np.int64))), tuple(shown))


def generated_documents(path: Path) -> Iterator[DocumentResult]:
    """Those of a job's documents.jsonl that were generated. A UsageError for a damaged file."""
    if path.is_symlink():  # left by a job, to have another file read
        raise UsageError(f"{path}: a link, which no job leaves; delete the job's folder to run it again")
    return (item for _, item in documents_with_offsets(path) if item.finish_reason != TOO_LONG)
