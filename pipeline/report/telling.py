"""What tells the work of several tables apart, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.files import sha256_json
from pipeline.report import figures
from pipeline.report.compare import SHORT_HASH
from pipeline.report.model import Table


@dataclass(frozen=True)
class _Fact:
    """How something reads, and what it is by its fingerprint: two prompts, say, may share a name.

    always: to be said where all tables share it, too.
    """

    words: str
    value: str
    always: bool = False


def work_apart(tables: Sequence[Table]) -> list[tuple[str, ...]]:
    """Of each table its documents, prompt, output limit and launcher, as far as not all tables share them, and whether
    its weights are real ones; that they are random is always said.
    """
    facts = [_facts(table) for table in tables]
    kinds = [set(column) for column in zip(*facts, strict=True)]
    return [
        tuple(_words(fact, known) for fact, known in zip(mine, kinds, strict=True) if fact.always or len(known) > 1)
        for mine in facts
    ]


def weights_of(table: Table) -> str:
    """Of which kind they are, in words."""
    return "random weights" if table.synthetic else "real weights"


def _facts(table: Table) -> tuple[_Fact, ...]:
    work = table.workload
    return (
        _Fact(weights_of(table), weights_of(table), always=table.synthetic),
        _Fact(f"{figures.plural(work.docs, 'document')} of {work.dataset}", work.documents_sha256),
        _Fact(f"prompt {work.prompt.name}", sha256_json(work.prompt.template)),
        _Fact(f"at most {figures.plural(work.max_new_tokens, 'new token')}", str(work.max_new_tokens)),
        _Fact(f"launcher {table.launcher}", table.launcher),
    )


def _words(fact: _Fact, known: set[_Fact]) -> str:
    namesakes = [other for other in known if other.words == fact.words]
    return fact.words if len(namesakes) == 1 else f"{fact.words} ({fact.value[:SHORT_HASH]})"
