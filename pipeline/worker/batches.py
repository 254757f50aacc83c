"""What happens when a batch runs out of memory: the policy. How an engine shows it is its adapter's to know."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import BenchmarkError

Item = TypeVar("Item")
Output = TypeVar("Output")


class OutOfMemory(BenchmarkError):
    """A batch that ran out of memory and is not made smaller. The engine's own error is its __cause__."""

    def __init__(self, size: int, error: Exception) -> None:
        super().__init__(f"a batch of {size} ran out of memory: {error}")


@dataclass(frozen=True)
class Retreat:
    """A batch of `size` that ran out of memory after lost_s seconds, and was halved."""

    size: int
    lost_s: float


class Batches:
    """How many documents go into a batch of an engine that can change that between batches.

    size: at most so many from now on; halved, for good, by each batch that runs out of memory where shrink is set.
    retreats: those batches, in order. settle: called after such a batch gave back what it held.
    """

    def __init__(self, size: int, *, shrink: bool) -> None:
        self.size = size
        self.shrink = shrink
        self.retreats: list[Retreat] = []
        self.settle: Callable[[], None] = _nothing
        self._largest = 0

    @property
    def used(self) -> int | None:
        """The largest batch that came through, or the size that it was since lowered to; None where none did."""
        return min(self._largest, self.size) or None

    def run(
        self,
        items: Sequence[Item],
        attempt: Callable[[Sequence[Item]], Sequence[Output]],
        is_out_of_memory: Callable[[Exception], bool],
        free: Callable[[], None],
    ) -> Iterator[tuple[Item, Output]]:
        """Each item with its output, in order. attempt: runs one batch, an output an item.

        is_out_of_memory: whether an exception of attempt is that. free: gives back what a failed attempt held.
        Raises OutOfMemory where a batch fails that can't be halved, and whatever else attempt raises.
        """
        done = 0
        while done < len(items):
            batch = list(items[done : done + self.size])  # only these are taken, where items are read as they are
            start = time.perf_counter()
            try:
                outputs = attempt(batch)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)  # their variables hold what the batch had allocated
                free()
                self.settle()
                if len(batch) == 1 or not self.shrink:
                    raise OutOfMemory(len(batch), error) from error
                self.retreats.append(Retreat(len(batch), time.perf_counter() - start))
                self.size = len(batch) // 2
                continue
            self._largest = max(self._largest, len(batch))
            yield from zip(batch, outputs, strict=True)
            done += len(batch)


def _nothing() -> None:
    pass
