"""How long ROUGE-1/2/L/Lsum of many documents takes, by the number of processes.

Run from the repository's root: `.venv/bin/python -m benchmarks.rouge_speed`. Outputs and references are passages of 60
to 90 words of the bundled sample's articles, seeded; the values are rouge-score's own (tests/analysis/test_quality.py).
--record writes benchmarks/results/rouge_speed.json.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pipeline.analysis.quality import processes_for, score
from pipeline.documents import read_documents
from pipeline.files import write_json
from pipeline.machine import usable_cpus
from pipeline.results import now_utc

REPOSITORY = Path(__file__).parent.parent
SAMPLE = REPOSITORY / "data" / "sample" / "howto_en.jsonl"
RECORD = Path(__file__).parent / "results" / "rouge_speed.json"
SHORTEST, LONGEST = 60, 90
SEED = 0


def texts(count: int, words: Sequence[str], rng: random.Random) -> list[str]:
    """So many passages of SHORTEST to LONGEST words."""
    lengths = [rng.randint(SHORTEST, LONGEST) for _ in range(count)]
    starts = [rng.randrange(len(words) - length) for length in lengths]
    return [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


def measured(outputs: Sequence[str], references: Sequence[str], processes: int) -> dict[str, float]:
    """Seconds, the processes' start included: on the clock, and of processor time in all of them.

    Others that keep the processors busy lengthen the first much and the second little. load: how many processes wanted
    to run meanwhile, these included, as the system averages it over a minute.
    """
    started, before = time.perf_counter(), os.times()
    for _ in score(zip(outputs, references, strict=True), processes):
        pass
    wall_s, after = time.perf_counter() - started, os.times()
    cpu_s = sum(after[:4]) - sum(before[:4])
    return {"wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2), "load": round(os.getloadavg()[0], 1)}


def main() -> int:
    """Print a line for each number of processes: one, and as many as the work is worth here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, default=10_000)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    arguments = parser.parse_args()
    words = [word for document in read_documents(SAMPLE) for word in document.document.split()]
    rng = random.Random(SEED)
    outputs, references = texts(arguments.docs, words, rng), texts(arguments.docs, words, rng)
    chosen = processes_for(list(zip(outputs, references, strict=True)), arguments.docs)
    found = {count: measured(outputs, references, count) for count in sorted({chosen, 1}, reverse=True)}
    for count, taken in found.items():
        print(f"{arguments.docs} documents, processes {count}: {taken}", flush=True)
    if arguments.record:
        write_json(
            RECORD,
            {
                "measured_at": now_utc(),
                "documents": arguments.docs,
                "words": [SHORTEST, LONGEST],
                "seed": SEED,
                "cpus": usable_cpus(),
                "rouge_score": version("rouge-score"),
                "by_processes": {str(count): taken for count, taken in found.items()},
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
