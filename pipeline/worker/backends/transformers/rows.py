"""A batch as the engine sees it: rows of ids, where each of them ends, and what on_step is told meanwhile."""

from collections.abc import Collection, Sequence
from typing import Literal

from pipeline.worker.backend import OnStep, Request


def pad_left(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[list[list[int]], list[list[int]]]:
    """Rows padded at their start to the longest one's length, and the attention mask (0 for padding)."""
    length = max(len(row) for row in rows)
    ids = [[pad_id] * (length - len(row)) + list(row) for row in rows]
    mask = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
    return ids, mask


def cut(
    new_ids: Sequence[int], eos_ids: Collection[int], max_new_tokens: int
) -> tuple[tuple[int, ...], Literal["stop", "length"]]:
    """A row's ids up to its first end-of-sequence id, which is kept, or up to its limit; and why it ends there."""
    limited = tuple(new_ids[:max_new_tokens])
    for position, token in enumerate(limited):
        if token in eos_ids:
            return limited[: position + 1], "stop"
    return limited, "length"


def ends_of(request: Request, eos_ids: Collection[int]) -> Collection[int]:
    """The ids that end this request's completion: none where it is to have its full length."""
    return () if request.full_length else eos_ids


class Rows:
    """Which rows of a batch still get tokens. on_step, where there is one, is told of each token of theirs."""

    def __init__(self, batch: Sequence[Request], eos_ids: Collection[int], on_step: OnStep | None) -> None:
        self._batch = batch
        self._remaining = {row: request.max_new_tokens for row, request in enumerate(batch)}
        self._told = dict.fromkeys((request.id for request in batch), 0)
        self._eos_ids = eos_ids
        self._on_step = on_step

    @property
    def ended(self) -> bool:
        """Whether every row has its last token."""
        return not self._remaining

    def take(self, newest: Sequence[int]) -> None:
        """The newest id of each row; of those that had ended before it counts for nothing."""
        added = [self._batch[row].id for row in self._remaining]
        for request_id in added:
            self._told[request_id] += 1
        if self._on_step:
            self._on_step(dict.fromkeys(added, 1))
        self._remaining = {
            row: left - 1
            for row, left in self._remaining.items()
            if left > 1 and newest[row] not in ends_of(self._batch[row], self._eos_ids)
        }

    def take_back(self) -> None:
        """Say that what was told of this batch does not count: it failed."""
        if self._on_step:
            self._on_step({request_id: -count for request_id, count in self._told.items() if count})
