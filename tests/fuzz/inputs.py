"""Inputs for a target: its sound ones, changed in ways that parsers stumble over."""

import json
from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz.property import Target

PLACEHOLDER = "@@replaced@@"
GENERAL = (
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\0",
    b"\xff",
    b"\x1f\x8b\x08\x00",
    b"\xff\xfe",
    b"PK\x03\x04",
    b"PAR1",
    b"{",
    b"}",
    b"[",
    b'"',
    b":",
    b",",
    b"\n",
    b"\\",
    b"/",
    b"..",
    b"0",
)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Bytes for that target, reproducible and shrinkable."""
    tokens = _one_of((*target.tokens, *target.tokens, *GENERAL))
    trees = [tree for tree in map(_tree, target.seeds) if isinstance(tree, dict | list)]
    changed = _edited(_one_of(target.seeds), tokens)
    if trees:
        grown = st.builds(_replaced, _one_of(trees), st.integers(0, 10_000), tokens, st.booleans())
        changed = st.one_of(grown, grown, _edited(grown, tokens), changed)
    return st.one_of(changed, changed, changed, tokens, st.binary(max_size=200))


def _one_of(items: Sequence[Any]) -> st.SearchStrategy[Any]:
    """As sampled_from, which would write all of the items out to describe itself."""
    return st.integers(0, len(items) - 1).map(items.__getitem__)


def _tree(seed: bytes) -> Any:
    try:
        return yaml.safe_load(seed)
    except (yaml.YAMLError, ValueError):
        return None


def _replaced(tree: Any, choice: int, token: bytes, whole: bool) -> bytes:
    """The tree as JSON with one value, or one key, replaced by the token as it stands."""
    places = list(_places(tree))
    path = places[choice % len(places)]
    copy = json.loads(json.dumps(tree, default=str))
    if not path:
        return token
    *above, last = path
    parent = copy
    for step in above:
        parent = parent[step if isinstance(parent, list) else str(step)]
    if whole or isinstance(parent, list):
        parent[last if isinstance(parent, list) else str(last)] = PLACEHOLDER
    else:
        parent[PLACEHOLDER] = parent.pop(str(last))
    text = json.dumps(copy, ensure_ascii=False).encode()
    return text.replace(f'"{PLACEHOLDER}"'.encode(), token, 1)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _places(value, (*path, key))


def _edited(base: st.SearchStrategy[bytes], tokens: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A few changes to the bytes, the way damage and mistakes make them."""
    place = st.floats(0, 1, allow_nan=False)
    edit = st.one_of(
        st.tuples(st.just("put"), place, tokens),
        st.tuples(st.just("over"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), place, st.integers(1, 60)),
        st.tuples(st.just("end"), place, st.just(b"")),
        st.tuples(st.just("twice"), place, st.integers(1, 200)),
        st.tuples(st.just("encode"), place, st.sampled_from(["utf-16", "utf-32-be", "latin-1", "utf-8-sig", "crlf"])),
    )
    return st.builds(_apply, base, st.lists(edit, min_size=1, max_size=4))


def _apply(data: bytes, edits: list[tuple[str, float, Any]]) -> bytes:
    for what, place, value in edits:
        at = int(place * len(data))
        if what == "put":
            data = data[:at] + value + data[at:]
        elif what == "over":
            data = data[:at] + value + data[at + len(value) :]
        elif what == "cut":
            data = data[:at] + data[at + value :]
        elif what == "end":
            data = data[:at]
        elif what == "twice":
            data = data[:at] + data[at : at + value] + data[at:]
        elif value == "crlf":
            data = data.replace(b"\n", b"\r\n")
        else:
            data = data.decode(errors="replace").encode(value, errors="replace")
    return data
