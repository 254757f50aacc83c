"""Engines as a user of their library runs them, with nothing of the pipeline, for benchmarks.bare_engine to time.

One module a backend, of the adapter's name, with `create(setup, used)`: the library's own calls, given a job's
settings. The clock and the prompts are bare_engine's. None of them imports its engine before create.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from pipeline.worker.backend import Request


class BareEngine(Protocol):
    """A loaded engine."""

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of each prompt, by the model's own tokenizer."""

    def prepare(self, requests: Sequence[Request]) -> Any:
        """What generate is given for them: ids and settings in the library's own terms. Not timed."""

    def generate(self, prepared: Any) -> Sequence[Sequence[int]]:
        """The new ids of each request, in any order, an end-of-sequence id included. Timed."""
