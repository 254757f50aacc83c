"""A batch that the machine's memory is too small for, really: the embedded model under a limit set from outside."""

import json
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import codec
from pipeline.catalog import load_catalog
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.files import write_json
from pipeline.hardware import Hardware
from pipeline.host.environments import environment_folder, process_environment
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.prepare import Preparation
from pipeline.jobs import make_job
from pipeline.plan import Request, Selected, select
from pipeline.progress import parse_progress
from pipeline.report.watch import LineWatcher
from pipeline.results import Result, read_result
from pipeline.results import read_documents as read_completions
from pipeline.spec import HostFacts, Job, JobGpu, Workload
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
MODEL = CATALOG.models["gemma-3-270m"]
CPU = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")
DOCS = 8
CHARACTERS = 1300
"""Of each document, since reading prompts is what takes the time here, and what takes the memory."""
ROOM_BYTES = 150 * 1024**2
"""What the process may grow by once the model is loaded: some 200 MiB are needed for all documents at once."""


@dataclass(frozen=True)
class Worker:
    """A job of DOCS documents in one batch, and the environment that it runs in."""

    job: Job
    python: Path
    environment: dict[str, str]
    cache: Path
    results: Path

    def start(self, module: str, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        """A module of this repository as a process with pipes."""
        return subprocess.Popen(
            [str(self.python), "-m", module, *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def worker(data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    results = tmp_path_factory.mktemp("results")
    launcher = ProcessLauncher(data, cache, results)
    [item] = select(["none"], CATALOG, MODEL, CPU, launcher.why_not)
    assert isinstance(item, Selected)
    prepared = Preparation(CATALOG, launcher, CPU, {}, cache, results, LineWatcher()).prepare([item])
    assert prepared.obstacle(item) is None
    sample = choose(read_documents(data / "sample/howto_en.jsonl"), DOCS, 0)
    documents = [replace(document, document=document.document[:CHARACTERS]) for document in sample]
    (results / "short.jsonl").write_text("".join(json.dumps(codec.encode(document)) + "\n" for document in documents))
    chosen = fingerprint(choose(read_documents(results / "short.jsonl"), DOCS, 0))
    workload = Workload("short", "short.jsonl", chosen, DOCS, 0, CATALOG.prompts[MODEL.prompt], max_new_tokens=3)
    request = Request("run", "offline", DOCS, workload, MODEL, "process")
    job = make_job(item, request, CPU, prepared.weights_of(item), HostFacts())
    (results / job.folder).mkdir(parents=True)
    write_json(results / job.folder / "job.json", codec.encode(job))
    environment = {
        **process_environment(cache, item.image, item.variant, network=False),
        "OMP_WAIT_POLICY": "passive",  # threads that spin while they wait take the cores from each other here
    }
    python = environment_folder(cache, item.image, item.variant) / "bin" / "python"
    return Worker(job, python, environment, cache, results)


def limit(process: "subprocess.Popen[str]") -> None:
    """What a container's or a batch system's limit does: more than ROOM_BYTES from here on is refused."""
    [line] = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmData" in line]
    most = int(line.split()[1]) * 1024 + ROOM_BYTES
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (most, most))


@pytest.fixture(scope="module")
def halved(worker: Worker) -> Result:
    """A job that was limited as soon as its engine was loaded, and ended well."""
    roots = ["--data", str(worker.results), "--cache", str(worker.cache), "--results", str(worker.results)]
    process = worker.start("pipeline", [*roots, "--job", f"{worker.job.folder}/job.json"])
    assert process.stdout is not None
    for line in process.stdout:
        progress = parse_progress(line)
        if progress and progress.phase == "encode":
            limit(process)
    assert process.wait() == 0
    return read_result(worker.results / worker.job.folder / "result.json")


@pytest.fixture(scope="module")
def probed(worker: Worker, halved: Result) -> Any:
    """What the probe saw under the same limit, with batches of the size that the job ended at."""
    file = worker.results / worker.job.folder / "job.json"
    arguments = [str(file), str(worker.results), str(worker.cache), str(halved.settings.batch_size_used)]
    process = worker.start("tests.backends.memory_probe", arguments)
    assert process.stdout is not None
    while process.stdout.readline() != "loaded\n":
        assert process.poll() is None
    limit(process)
    output, _ = process.communicate("go on\n")
    return json.loads(output.splitlines()[-1])


def test_a_batch_that_does_not_fit_is_halved_and_the_job_ends_well(halved: Result) -> None:
    assert (halved.status, halved.settings.batch_size_asked) == ("ok", DOCS)
    assert halved.settings.batch_size_used in (1, 2, 4)
    assert halved.metrics is not None and halved.metrics.docs == DOCS
    assert halved.warnings[0].startswith(f"out of memory at a batch of {DOCS}: halved ")


def test_the_texts_are_those_of_the_smaller_batch(worker: Worker, probed: Any) -> None:
    completed = read_completions(worker.results / worker.job.folder / "documents.jsonl")
    assert {item.id: item.text for item in completed} == probed["texts"]


def test_the_search_ends_at_a_size_that_fits_below_one_that_does_not(probed: Any) -> None:
    tried = {item["size"]: item["fits"] for item in probed["found"]["tried"]}
    size = probed["size"]
    assert 1 <= size < DOCS
    assert (tried[size], tried[size + 1], probed["found"]["complete"]) == (True, False, True)
    assert all(item["peak_bytes"] > 1 << 30 for item in probed["found"]["tried"])
