"""Requests on the disk: what comes back of them, and that nothing is left."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.lazy import Picked
from pipeline.worker.backend import Request, longest_first, prompt_lengths
from pipeline.worker.spool import Spool

REQUESTS = [
    Request("a", "Peel the äpple.", (2, 262_143, 0), 5, "0" * 64, seed=7),
    Request("bé", "Tie\u2028it.", (), 1),
    Request("c", "Boil.", tuple(range(40)), 300, None, full_length=True, seed=2**31 - 1),
]


def test_requests_come_back_as_they_were_in_any_order(tmp_path: Path) -> None:
    with Spool(REQUESTS, tmp_path) as spool:
        assert [spool[2], spool[0], spool[-2], *spool[1:], *spool] == [
            *(REQUESTS[at] for at in (2, 0, 1, 1, 2)),
            *REQUESTS,
        ]
        with pytest.raises(IndexError):
            spool[3]


def test_lengths_are_told_and_the_longest_picked_without_reading_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(REQUESTS, tmp_path) as spool:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", None)
            some = Picked(spool, [1, 0, 2])
            assert list(prompt_lengths(some)) == [0, 3, 40]
            longest = longest_first(some)[:2]
            assert list(spool.text_lengths) == [15, 7, 5]
        assert [request.id for request in longest] == ["c", "a"]


def test_prompts_of_equal_length_keep_their_order() -> None:
    alike = [replace(REQUESTS[0], id=str(number)) for number in range(20)]
    assert list(longest_first(alike)) == alike


def test_no_file_is_left_in_the_folder_nor_there_meanwhile(tmp_path: Path) -> None:
    with Spool(REQUESTS, tmp_path):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_what_breaks_while_requests_are_made_leaves_no_open_file(tmp_path: Path) -> None:
    def breaking() -> Iterator[Request]:
        yield REQUESTS[0]
        raise RuntimeError("broke")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RuntimeError, match="broke"):
        Spool(breaking(), tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
