"""What one engine's work on a job came to, as the runner saw it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.analysis.samples import Samples
from pipeline.worker.backend import MemoryUse, Settings
from pipeline.worker.batch_search import Found
from pipeline.worker.batches import Retreat
from pipeline.worker.generation import Generated


@dataclass(frozen=True)
class EngineRun:
    """One engine's work from loading to the last completion.

    samples: of the documents that it was given, in the first repeat; those that exceed the model's context are counted.
    prompt_ids_sha256: of all documents of the job.
    load_s: of importing the adapter and of load(), what it compiled included. encode_s: of the prompts. close_s: of
    close().
    loaded_bytes: memory in use once the model was loaded, before anything was generated; None where it can't be told.
    compile_s: of compile_for(); None where the engine compiles as it loads or not at all.
    found: of the search for the batch size, None where there was none. repeats: of the timed section, at least one.
    retreats: batches that ran out of memory; timed_retreats: how many of them, the last ones, within the timed section.
    """

    samples: Samples
    prompt_ids_sha256: str | None
    load_s: float
    loaded_bytes: int | None
    found: Found | None
    search_s: float | None
    compile_s: float | None
    warmup_s: float
    repeats: Sequence[Generated]
    memory: MemoryUse
    settings: Settings
    encode_s: float
    close_s: float
    retreats: Sequence[Retreat]
    timed_retreats: int
