"""What an engine is given in the timed section, which notes what the engine takes of it."""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from pipeline.errors import BenchmarkError
from pipeline.lazy import Picked
from pipeline.spec import Job
from pipeline.worker.backend import Request, Requests, prompt_lengths


class Taken(NamedTuple):
    """Of a request that the engine took: its position, and what its document's result repeats."""

    position: int
    prompt_tokens: int
    prompt_sha256: str | None


class HandOver(Requests):
    """Requests that know which of them are with the engine. completed: how many it has finished."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._prompt_lengths = prompt_lengths(requests)
        self._done = bytearray(len(requests))
        self._taken: dict[str, Taken] = {}
        self.completed = 0

    @property
    def prompt_lengths(self) -> "array[int]":
        return self._prompt_lengths

    @property
    def under_way(self) -> int:
        """How many the engine has taken and not finished."""
        return len(self._taken)

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        if isinstance(index, slice):
            return Picked(self, range(len(self))[index])
        position = range(len(self))[index]
        request = self._requests[position]
        if not self._done[position]:
            self._taken[request.id] = Taken(position, len(request.prompt_ids), request.prompt_sha256)
        return request

    def complete(self, request_id: str) -> Taken:
        """The engine has finished it. A BenchmarkError for what it did not take, or finished before."""
        taken = self._taken.pop(request_id, None)
        if taken is None:
            raise BenchmarkError(f"the engine completed {request_id}, which it was not working on")
        self._done[taken.position] = 1
        self.completed += 1
        return taken

    def require_completed(self, handed_over: int) -> None:
        """A BenchmarkError where the first so many are not all finished."""
        if missing := handed_over - self.completed:
            lost = self._requests[self._done.index(0)].id
            raise BenchmarkError(f"the engine left {missing} documents without a completion: {lost}, …")


def hand_overs(requests: Sequence[Request], job: Job) -> Iterator[Sequence[Request]]:
    """What is handed to the engine at a time: all at once in `offline`, one by one in `single`."""
    if job.scenario != "single":
        yield requests
        return
    for position in range(len(requests)):
        yield requests[position : position + 1]
