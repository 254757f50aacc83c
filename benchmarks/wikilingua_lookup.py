"""Finding listed articles by URL in a Parquet file of WikiLingua's nested schema: seconds and peak memory.

Run from the repository's root: `.venv/bin/python -m benchmarks.wikilingua_lookup`. The file is made up of the bundled
sample's words, seeded: 140,000 articles of 2 to 4 sections, some 400 words each, once in row groups of 1,000 rows and
once in a single one. The listed URLs are spread over all of it; without --listed's number the whole file is prepared.
Each is measured in a process of its own, the import of the libraries included. --record writes the rows to
benchmarks/results/wikilingua_lookup.json.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.documents import read_documents
from pipeline.files import write_json
from pipeline.host.datasets import prepare
from pipeline.machine import usable_cpus
from pipeline.results import now_utc

REPOSITORY = Path(__file__).parent.parent
SAMPLE = REPOSITORY / "data" / "sample" / "howto_en.jsonl"
RECORD = Path(__file__).parent / "results" / "wikilingua_lookup.json"
ARTICLES = 140_000
SECTIONS = (2, 3, 4)
WORDS, SUMMARY_WORDS = 400, 40
"""Of an article, over all its sections."""
ROW_GROUPS = {"row groups of 1,000": 1000, "one row group": None}
SEED = 0
MIB = 1 << 20
NAMES = ("section_name", "document", "summary")


def url_of(number: int) -> str:
    """The URL of an article of the made-up file."""
    return f"https://www.wikihow.com/Article-{number}"


def write_articles(path: Path, articles: int, row_group: int | None) -> None:
    """So many articles, in row groups of so many rows; None for a single one."""
    schema = pa.schema(
        [("url", pa.string()), ("article", pa.struct([(name, pa.list_(pa.string())) for name in NAMES]))]
    )
    size = row_group or articles
    with pq.ParquetWriter(path, schema) as writer:
        rows = _articles(articles)
        for begin in range(0, articles, size):
            table = pa.Table.from_batches(_batches(rows, min(size, articles - begin), schema), schema)
            writer.write_table(table, row_group_size=size)


def _batches(rows: Iterator[dict[str, object]], count: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for begin in range(0, count, 1000):
        yield pa.RecordBatch.from_pylist([next(rows) for _ in range(min(1000, count - begin))], schema)


def _articles(articles: int) -> Iterator[dict[str, object]]:
    words = [word for document in read_documents(SAMPLE) for word in document.document.split()]
    rng = random.Random(SEED)
    for number in range(articles):
        sections = rng.choice(SECTIONS)
        texts = {
            name: [" ".join(rng.choices(words, k=length // sections)) for _ in range(sections)]
            for name, length in zip(NAMES, (3 * sections, WORDS, SUMMARY_WORDS), strict=True)
        }
        yield {"url": url_of(number), "article": texts}


def measure(folder: Path, listed: int) -> dict[str, float]:
    """Prepare in this process: its seconds, on the clock and of processors with the start, and its peak memory.

    listed: 0 for all.
    """
    begun = time.perf_counter()
    chosen = folder / "urls.txt" if listed else None
    found = prepare("wikilingua", folder / "data", chosen, parquet_files=[folder / "articles.parquet"])
    seconds = time.perf_counter() - begun
    return {
        "documents": found.documents,
        "seconds": seconds,
        "processor_s": time.process_time(),
        "peak_bytes": own_peak_bytes(),
    }


def own_peak_bytes() -> int:
    """The most memory that this program has held. getrusage would count what its parent held before it was started."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measured(folder: Path, articles: int, listed: int) -> dict[str, float]:
    """The same in a process of its own, over URLs spread evenly over the file."""
    if listed:
        urls = [url_of(number * articles // listed) for number in range(listed)]
        (folder / "urls.txt").write_text("\n".join(urls), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.wikilingua_lookup", "--measure", str(folder), "--listed", str(listed)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"file_bytes": (folder / "articles.parquet").stat().st_size}


def main() -> int:
    """Print a row for each layout of the file and number of listed URLs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=ARTICLES)
    parser.add_argument("--listed", type=int, nargs="+", default=[100, 1000, 0], help="0 for the whole file")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # how it calls itself for one row
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.listed[0])))
        return 0
    shape = {"articles": given.articles, "words": WORDS, "summary_words": SUMMARY_WORDS, "seed": SEED}
    rows = []
    print("| file | listed | seconds | processor time | peak memory, MiB |\n|---|---|---|---|---|")
    for layout, size in ROW_GROUPS.items():
        with tempfile.TemporaryDirectory(prefix="lookup-", dir=REPOSITORY / "cache") as name:
            write_articles(Path(name) / "articles.parquet", given.articles, size)
            for listed in given.listed:
                row = measured(Path(name), given.articles, listed)
                seconds = f"{row['seconds']:.1f} | {row['processor_s']:.1f}"
                print(f"| {layout} | {listed:,} | {seconds} | {row['peak_bytes'] / MIB:.0f} |", flush=True)
                rows.append({"measured_at": now_utc(), "cpus": usable_cpus(), "layout": layout, **shape, **row})
    if given.record:
        write_json(RECORD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
