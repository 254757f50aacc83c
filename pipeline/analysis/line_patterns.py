"""Regular expressions over single lines of a long text, in time that is linear in its length."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

_AROUND = 500
_GRAM = 3
_TOKEN = re.compile(
    r"\\[A-Za-z0-9]|\\(?P<escaped>.)|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?[:=!<]+|\?P<\w+>)?|\{[\d,]+\}|[?*+.^$|)]|(?P<plain>.)",
    re.DOTALL,
)


def last_match(pattern: str, text: str) -> int | None:
    """Where in the text the last line begins to match.

    Only what lies around a literal part is matched, so that the time is linear in the text's length.
    """
    regex, literals = _compile(pattern)
    last = -1
    for literal in literals:
        position = text.rfind(literal) if literal in text else -1  # searching forwards is much faster
        while position > last:
            start = max(text.rfind("\n", 0, position) + 1, position - _AROUND)
            end = text.find("\n", position, position + _AROUND)
            found = regex.search(text, start, end if end >= 0 else position + _AROUND)
            if found:
                last = max(last, found.start())
                break
            position = text.rfind(literal, 0, max(start, position - _AROUND // 2) + len(literal) - 1)
    return last if last >= 0 else None


def possible(patterns: Sequence[str], text: str) -> set[str]:
    """The patterns that a line of the text may match; the others can't, which is known in one pass over the text."""
    grams = {text[start : start + _GRAM] for start in range(len(text))}

    def occurs(literal: str) -> bool:
        return len(literal) < _GRAM or (literal[:_GRAM] in grams and literal[-_GRAM:] in grams and literal in text)

    return {pattern for pattern in patterns if any(map(occurs, _compile(pattern)[1]))}


@cache
def _compile(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    return re.compile(pattern, re.MULTILINE), required_literals(pattern)


def required_literals(pattern: str) -> tuple[str, ...]:
    """Texts one of which every match of a regular expression holds, as long as can be found; '' where there is none."""
    return _of_alternatives(_TOKEN.finditer(pattern))


def _of_alternatives(tokens: Iterator[re.Match[str]]) -> tuple[str, ...]:
    """The same of the tokens up to the end of their group: for each alternative its best part's texts."""
    found: list[str] = []
    parts: list[tuple[str, ...]] = []
    run, after_group = "", False
    for token in tokens:
        text, plain = token[0], token["escaped"] or token["plain"]
        if plain:
            run, after_group = run + plain, False
            continue
        if text[0] in "?*+{":  # what it follows may be missing
            if run:
                run = run[:-1]
            elif after_group:
                parts.pop()
        parts.append((run,))
        run, after_group = "", text[0] == "("
        if after_group:
            inner = _of_alternatives(tokens)
            parts.append(inner if text in ("(", "(?:") else ("",))
        elif text in ("|", ")"):
            found += _best(parts)
            parts = []
            if text == ")":
                return tuple(found)
    return (*found, *_best([*parts, (run,)]))


def _best(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return max(parts, key=lambda part: min(map(len, part)))
