"""No model: the document's first sentences, the reference line that any quality figure must be read against."""

from collections.abc import Iterator, Sequence

from pipeline.analysis.sentences import split_sentences
from pipeline.worker.backend import Backend, Completion, MemoryUse, OnStep, Request, Settings, Setup

DEFAULT_SENTENCES = 3


def create(setup: Setup) -> Backend:
    """The adapter. setup.options: sentences, a whole number above 0. Raises ValueError for anything else."""
    options = dict(setup.options)
    sentences = options.pop("sentences", DEFAULT_SENTENCES)
    if options:
        raise ValueError(f"options: lead has no setting {next(iter(options))!r}; it has sentences")
    if type(sentences) is not int or sentences < 1:
        raise ValueError(f"options.sentences: expected a whole number above 0, found {sentences!r}")
    return Lead(sentences)


class Lead:
    """Answers every request with the first sentences of its document, joined by spaces."""

    def __init__(self, sentences: int) -> None:
        self._sentences = sentences

    def load(self) -> None:
        """What splits sentences takes a moment to import."""
        split_sentences("")

    def encode(self, prompts: Sequence[str]) -> None:
        """No model, no ids."""

    def compile_for(self, requests: Sequence[Request]) -> bool:
        """Nothing to compile."""
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        """The limit on new tokens does not apply: there are no tokens, and so no steps to report either."""
        for request in requests:
            text = " ".join(split_sentences(request.document)[: self._sentences])
            yield Completion(request.id, text, output_ids=None, finish_reason="stop")

    def memory(self) -> MemoryUse:
        """Nothing is known, since nothing is loaded."""
        return MemoryUse()

    def settings(self) -> Settings:
        """How many sentences were taken."""
        return Settings(engine_args={"sentences": self._sentences})

    def close(self) -> None:
        """Nothing to free."""
