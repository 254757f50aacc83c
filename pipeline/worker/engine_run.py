"""What one engine's work on a job came to, as the runner saw it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.measures import DocumentResult
from pipeline.worker.backend import MemoryUse, Request, Settings
from pipeline.worker.batch_search import Found
from pipeline.worker.batches import Retreat
from pipeline.worker.generation import Generated


@dataclass(frozen=True)
class EngineRun:
    """One engine's work from loading to the last completion.

    requests: of all documents of the workload. too_long: results for those of them that exceed the model's context.
    load_s: of load(), what it compiled included.
    loaded_bytes: memory in use once the model was loaded, before anything was generated; None where it can't be told.
    compile_s: of compile_for(); None where the engine compiles as it loads or not at all.
    found: of the search for the batch size, None where there was none. repeats: of the timed section, at least one.
    retreats: batches that ran out of memory; timed_retreats: how many of them, the last ones, within the timed section.
    """

    requests: Sequence[Request]
    too_long: Sequence[DocumentResult]
    load_s: float
    loaded_bytes: int | None
    found: Found | None
    search_s: float | None
    compile_s: float | None
    warmup_s: float
    repeats: Sequence[Generated]
    memory: MemoryUse
    settings: Settings
    retreats: Sequence[Retreat]
    timed_retreats: int

    @property
    def documents(self) -> list[DocumentResult]:
        """What became of the documents that it was given, in the first repeat."""
        return [*self.repeats[0].documents, *self.too_long]
