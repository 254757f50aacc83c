"""What tells degenerate summaries apart where ROUGE does not: copies of the document, and text that repeats itself.

Words are runs of letters and digits, in lower case, so that punctuation and line breaks hide no copy.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NGRAM = 4
"""Words of the sequences whose recurrence counts as repetition."""

SETTINGS: Mapping[str, Any] = {
    "words": "runs of letters and digits, lower case",
    "fragments": "the longest at each place (Grusky et al. 2018)",
    "repetition_ngram": NGRAM,
}

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Shape:
    """One output against its document; see DocumentResult. copied: it is one passage of the document."""

    coverage: float | None
    density: float | None
    repetition: float | None
    copied: bool


def describe(output: str, document: str, *, cut: bool) -> Shape:
    """Coverage, density, repetition of an output. cut: the token limit ended it, and its last word may be half a word.

    Such a last word does not keep the output from being a copy; to the other figures it is a word as any.
    """
    words = split_words(output)
    source = split_words(document)
    lengths = fragment_lengths(words, source)
    whole = len(words) - 1 if cut and len(words) > 1 else len(words)
    return Shape(
        coverage=sum(lengths) / len(words) if words else None,
        density=sum(length * length for length in lengths) / len(words) if words else None,
        repetition=repetition(words),
        # a first word that is in the document begins the first fragment
        copied=bool(words) and words[0] in source and lengths[0] >= whole,
    )


def split_words(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(text.lower())


def fragment_lengths(words: Sequence[str], source: Sequence[str]) -> list[int]:
    """Lengths of the passages that words have in common with the source, in order.

    The extractive fragments of Grusky, Naaman and Artzi (Newsroom, NAACL 2018, section 4): from each word on, the
    longest sequence that occurs anywhere in the source is one fragment, and the search goes on behind it; a word that
    does not occur there is passed over.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, word in enumerate(source):
        places[word].append(index)
    lengths = []
    start = 0
    while start < len(words):
        longest = 0
        for place in places.get(words[start], ()):
            longest = max(longest, _common(words, start, source, place))
        if longest:
            lengths.append(longest)
        start += max(longest, 1)
    return lengths


def repetition(words: Sequence[str]) -> float | None:
    """The share of the sequences of NGRAM words that occurred before; None for fewer words than that."""
    total = len(words) - NGRAM + 1
    if total < 1:
        return None
    return 1 - len({tuple(words[start : start + NGRAM]) for start in range(total)}) / total


def _common(words: Sequence[str], start: int, source: Sequence[str], place: int) -> int:
    """How many words are the same, from start and place on."""
    length = 0
    while (
        start + length < len(words) and place + length < len(source) and words[start + length] == source[place + length]
    ):
        length += 1
    return length
