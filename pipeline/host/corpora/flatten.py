"""A Hub dataset's Parquet files turned into documents; rows that can't be used are left out and counted."""

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.article_ids import last_part, told_apart
from pipeline.errors import UsageError
from pipeline.host.corpora import parquet
from pipeline.host.corpora.rows import Row, path_of, text_at
from pipeline.lazy import repeated
from pipeline.prepared import Fields

MISSING_SHOWN = 3


USUAL_ID = "id"


def with_usual_id(fields: Fields, files: Sequence[Path]) -> Fields:
    """The fields with the usual column for the id, where none was named and every file has it."""
    if fields.id is None and fields.url is None and all(USUAL_ID in parquet.columns(file) for file in files):
        return replace(fields, id=USUAL_ID)
    return fields


@dataclass
class Flattener:
    """Turns rows into documents. Of each row some bytes are held; of repeated ids and of a selection, the ids.

    selection: the URLs to keep, None for all. options: what on the command line names a field, by the field.
    dropped: rows left out, by reason.
    """

    fields: Fields
    selection: Collection[str] | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    _first: dict[str, str] = field(default_factory=dict)
    _kept: set[str] = field(default_factory=set)

    def records(self, files: Sequence[Path]) -> Iterator[dict[str, str]]:
        """One {id, document, summary} a row, and its url where it has one, in the files' order.

        The column of URLs or ids is read before and by itself, so that texts are read of chosen rows alone.
        A UsageError names a file that is no Parquet or has other columns, and URLs of the selection without an article.
        """
        names = [name for name in (self._key, self.fields.document, self.fields.summary) if name is not None]
        for file in files:
            parquet.require_texts(file, self.fields, self.options)
        wanted = self._look_through(files) if self._key is not None else [None for _ in files]
        for file, positions in zip(files, wanted, strict=True):
            for row in parquet.rows(file, names, positions):
                record = self._flatten(row, file)
                if record is not None:
                    yield record
        self._require_all_found()

    @property
    def _key(self) -> str | None:
        """What tells rows apart."""
        return self.fields.url or self.fields.id

    def _look_through(self, files: Sequence[Path]) -> list[Sequence[int] | None]:
        """The positions of the wanted rows of each file; notes which URL was the first of those that end alike."""
        assert self._key is not None
        hashes = array("q")
        found: list[Sequence[int] | None] = []
        for file in files:
            wanted = array("q")
            for position, key in enumerate(parquet.keys(file, self._key)):
                hashes.append(hash(self._name((key or "").strip())))
                if self.selection is not None and (key or "").strip() in self.selection:
                    wanted.append(position)
            found.append(None if self.selection is None else wanted)
        if shared := repeated(hashes):
            for file in files:
                for key in parquet.keys(file, self._key):
                    name = self._name((key or "").strip())
                    if hash(name) in shared:
                        self._first.setdefault(name, (key or "").strip())
        return found

    def _name(self, key: str) -> str:
        """An id, or the last part of a URL."""
        return key if self.fields.url is None else last_part(key)

    def _flatten(self, row: Row, file: Path) -> dict[str, str] | None:
        key = f"{file.name}:{row.number}" if self._key is None else (self._text(row, self._key) or "").strip()
        document, summary = self._text(row, self.fields.document), self._text(row, self.fields.summary)
        reason = self._reason_to_drop(key, document, summary)
        if reason is not None:
            self.dropped[reason] += 1
            return None
        name = self._name(key)
        if self.selection is not None or name in self._first:
            self._kept.add(key)
        if self.fields.url is None:
            return {"id": name, "document": document, "summary": summary}
        if self._first.get(name, key) != key:  # a second URL that ends alike, whatever the selection
            name = told_apart(name, key)
        return {"id": name, "url": key, "document": document, "summary": summary}

    def _text(self, row: Row, name: str) -> str:
        return text_at(row.values, path_of(name, row.values), numbers=name == self.fields.id) or ""

    def _reason_to_drop(self, key: str, document: str, summary: str) -> str | None:
        kind = "url" if self.fields.url is not None else "id"
        if not key:
            return f"no_{kind}"
        for what, text in (("document", document), ("summary", summary)):
            if not text.strip():
                return f"empty_{what}"
            if "\0" in text:  # where text is handed on to C, it ends there
                return f"nul_in_{what}"
        return f"duplicate_{kind}" if key in self._kept else None

    def _require_all_found(self) -> None:
        missing = sorted(set(self.selection or ()) - self._kept)
        if missing:
            raise UsageError(
                f"{len(missing)} of the {len(self.selection or ())} listed articles are not in the dataset, or have no "
                f"text or summary there: {', '.join(missing[:MISSING_SHOWN])}{', …' * (len(missing) > MISSING_SHOWN)}; "
                "remove them from the list"
            )
