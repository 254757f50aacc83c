"""A workload may grow without the worker's memory growing with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.growth import DATASET, MIB, RANDOM, make_job, write_dataset
from pipeline import codec
from pipeline.files import write_json
from tests.conftest import REPOSITORY

FEW, MANY = 1_000, 20_000
ALLOWED_MIB = 10
"""For 19,000 more documents, a hundred bytes of each being 2 MiB. Held whole, requests and results would be 80."""


def peak_mib(folder: Path, docs: int) -> float:
    """Of a job over so many documents in a process of its own."""
    (folder / RANDOM.path).mkdir(parents=True)
    write_dataset(folder / DATASET, docs)
    job = make_job(folder / DATASET, docs, scored=False)  # which takes most of the time, and a window of them alone
    (folder / job.folder).mkdir(parents=True)
    write_json(folder / "job.json", codec.encode(job))
    command = [sys.executable, "-m", "benchmarks.growth", "--measure", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    peak: float = json.loads(done.stdout.splitlines()[-1])["peak_bytes"] / MIB
    return peak


def test_twenty_times_the_documents_take_hardly_more_memory(tmp_path: Path) -> None:
    few = peak_mib(tmp_path / "few", FEW)
    assert peak_mib(tmp_path / "many", MANY) == pytest.approx(few, abs=ALLOWED_MIB)
