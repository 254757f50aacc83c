"""Old result files on their way into a run: which pairs a folder holds, what they come to, and where they are put."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.entries import Experiment
from pipeline.errors import UsageError
from pipeline.files import LARGEST_JSON_BYTES, read_bytes
from pipeline.host.runs import RunFolder
from pipeline.legacy.convert import import_pair
from pipeline.legacy.pairs import KINDS, PATTERN, PairName, pair_up
from pipeline.legacy.result import FOLDER_PREFIX, ImportedDocument, ImportedResult, write_imported
from pipeline.names import LONGEST_NAME

RUN_PREFIX = "imported"


@dataclass(frozen=True)
class ImportedPair:
    """A pair that could be read. folder: its job's, in the run: the same for the same file names."""

    folder: str
    result: ImportedResult
    documents: tuple[ImportedDocument, ...]


def run_name(source: Path) -> str:
    """What the run is called where the command doesn't say: after the folder."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", source.resolve().name).strip("._-")
    return f"{RUN_PREFIX}-{readable}".removesuffix("-")[:LONGEST_NAME]


def read_pairs(
    source: Path, experiments: Mapping[str, Experiment], run: str
) -> tuple[list[ImportedPair], tuple[str, ...]]:
    """The pairs in the folder, and what is wrong with each file that is left out; a fault stops no other pair.

    experiments: this benchmark's own. run: the name of the run they are to be part of. A UsageError where the folder
    can't be read or holds no such file at all.
    """
    try:
        names = [path.name for path in source.iterdir()]
    except OSError as error:
        raise UsageError(f"--import {source}: can't be read ({error.strerror}); name the files' folder") from error
    pairs, faults = pair_up(names)
    if not pairs and not faults:
        raise UsageError(f"--import {source}: holds no file of a pair {PATTERN}; name the files' folder")
    found: dict[tuple[str, ...], ImportedPair] = {}
    for pair in pairs:
        try:
            one = _read(source, pair, experiments, run)
            content = (one.result.imported.data.sha256, one.result.imported.results.sha256)
            if (twin := found.setdefault(content, one)) is not one:
                copied = twin.result.imported.data.name
                raise UsageError(f"{pair.file('data')}: a copy of {copied}, as its results are; take one pair away")
        except UsageError as error:
            faults.append(str(error))
    return list(found.values()), tuple(faults)


def _read(source: Path, pair: PairName, experiments: Mapping[str, Experiment], run: str) -> ImportedPair:
    data, results = (read_bytes(source / pair.file(kind), LARGEST_JSON_BYTES) for kind in KINDS)
    result, documents = import_pair(pair, data, results, experiments, run)
    return ImportedPair(f"{FOLDER_PREFIX}{pair.stem}", result, documents)


def write_pairs(folder: RunFolder, pairs: list[ImportedPair]) -> None:
    """Put the pairs into the run, each in place of what an earlier import of its file names left."""
    for pair in pairs:
        write_imported(folder.path / pair.folder, pair.result, pair.documents)
