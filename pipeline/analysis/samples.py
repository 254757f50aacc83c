"""What statistics need of many documents, in a few numbers each: some 32 bytes a document, whatever it says."""

import math
from array import array
from collections.abc import Iterable, Iterator

from pipeline.measures import DocumentResult

UNKNOWN = -1


class Samples:
    """Lengths and times of completed documents, in the order in which they were added.

    prompt_tokens, output_tokens: UNKNOWN where they weren't counted. latency_s, ttft_s, tpot_s: NaN likewise.
    too_long: how many others exceed the model's context, and first_too_long the id of one of them;
    they count nowhere else.
    """

    def __init__(self, documents: Iterable[DocumentResult] = ()) -> None:
        self.prompt_tokens, self.output_tokens = array("i"), array("i")
        self.latency_s, self.ttft_s, self.tpot_s = array("d"), array("d"), array("d")
        self.too_long = 0
        self.first_too_long: str | None = None
        for document in documents:
            self.add(document)

    def __len__(self) -> int:
        """Of the completed ones."""
        return len(self.output_tokens)

    def add(self, document: DocumentResult) -> None:
        """One more document."""
        if document.finish_reason == "too_long":
            self.too_long += 1
            self.first_too_long = self.first_too_long or document.id
            return
        self.prompt_tokens.append(UNKNOWN if document.prompt_tokens is None else document.prompt_tokens)
        self.output_tokens.append(UNKNOWN if document.output_tokens is None else document.output_tokens)
        self.latency_s.append(math.nan if document.latency_s is None else document.latency_s)
        self.ttft_s.append(math.nan if document.ttft_s is None else document.ttft_s)
        self.tpot_s.append(math.nan if document.tpot_s is None else document.tpot_s)

    def extend(self, others: "Samples") -> None:
        """All of others' documents too."""
        self.prompt_tokens.extend(others.prompt_tokens)
        self.output_tokens.extend(others.output_tokens)
        self.latency_s.extend(others.latency_s)
        self.ttft_s.extend(others.ttft_s)
        self.tpot_s.extend(others.tpot_s)
        self.too_long += others.too_long
        self.first_too_long = self.first_too_long or others.first_too_long


def known_counts(counts: "array[int]") -> Iterator[int]:
    """Those that were counted."""
    return (count for count in counts if count != UNKNOWN)


def known_times(times: "array[float]") -> Iterator[float]:
    """Those that were measured."""
    return (seconds for seconds in times if not math.isnan(seconds))
