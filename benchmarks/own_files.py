"""A user's own files of any kind, turned into documents: peak memory by their number, and seconds for each 1,000.

Run from the repository's root: `.venv/bin/python -m benchmarks.own_files`. The documents are those of benchmarks.growth
(4 sentences, 24 words in all), as Parquet, CSV and JSON lines. Each is converted in a process of its own, which ends
when the prepared file is written. --record writes the rows to benchmarks/results/own_files.json.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.growth import MIB, write_dataset
from benchmarks.wikilingua_lookup import own_peak_bytes
from pipeline.documents import read_documents
from pipeline.files import write_json
from pipeline.host.dataset_options import FieldChoice
from pipeline.host.datasets import resolve
from pipeline.machine import usable_cpus
from pipeline.results import now_utc

REPOSITORY = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "results" / "own_files.json"
SIZES = (100_000, 1_000_000)
NAMES = ("id", "document", "summary")
KINDS = ("parquet", "csv", "jsonl")
ROWS_A_GROUP = 50_000


def write_as(kind: str, lines: Path) -> Path:
    """The documents of a JSONL file in a file of this kind, beside it; itself for JSONL."""
    target = lines.with_suffix(f".{kind}")
    rows = ([document.id, document.document, document.summary] for document in read_documents(lines))
    if kind == "csv":
        with target.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerow(NAMES)
            csv.writer(stream).writerows(rows)
    elif kind == "parquet":
        _write_parquet(target, rows)
    return target


def _write_parquet(target: Path, rows: Iterator[list[str]]) -> None:
    schema = pa.schema([(name, pa.string()) for name in NAMES])
    with pq.ParquetWriter(target, schema) as writer:
        while group := list(islice(rows, ROWS_A_GROUP)):
            writer.write_table(pa.table(list(map(list, zip(*group, strict=True))), schema=schema))


def measure(given: Path) -> dict[str, float]:
    """Convert in this process: its seconds, on the clock and of processors with the start, and its peak memory.

    The fields are named, so that JSON lines are converted.
    """
    begun = time.perf_counter()
    resolve(str(given), given.parent / "data", fields=FieldChoice(document="document"))
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "processor_s": time.process_time(), "peak_bytes": own_peak_bytes()}


def measured(given: Path) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.own_files", "--measure", str(given)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"file_bytes": given.stat().st_size}


def main() -> int:
    """Print a row for each kind and number of documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # how it calls itself for one row
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return 0
    rows = []
    print("| file | documents | peak memory, MiB | seconds per 1,000 | processor time |\n|---|---|---|---|---|")
    for docs in given.docs:
        with tempfile.TemporaryDirectory(prefix="own-files-", dir=REPOSITORY / "cache") as name:
            lines = Path(name) / "documents.jsonl"
            write_dataset(lines, docs)
            for kind in KINDS:
                row = measured(write_as(kind, lines))
                each = " | ".join(f"{row[name] * 1000 / docs:.2f}" for name in ("seconds", "processor_s"))
                each = f"{row['peak_bytes'] / MIB:.0f} | {each}"
                print(f"| {kind} | {docs:,} | {each} |", flush=True)
                rows.append({"measured_at": now_utc(), "cpus": usable_cpus(), "kind": kind, "documents": docs, **row})
    if given.record:
        write_json(RECORD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
