"""A job's shards: what each does, what becomes one result of theirs, and what is left to do where one broke."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import codec
from pipeline.catalog import load_catalog
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.errors import UsageError
from pipeline.files import write_json
from pipeline.hardware import Hardware
from pipeline.host.merge import ShardsWall, merge
from pipeline.host.sharded import begin_sharded, finished
from pipeline.job_folder import JOB_FILE, begin
from pipeline.jobs import make_job as make_planned
from pipeline.jobs import shard_jobs
from pipeline.plan import Request, Selected, select
from pipeline.results import DOCUMENTS_FILE, RESULT_FILE, Failure, Result, document_line, read_result, write_result
from pipeline.results import read_documents as read_completions
from pipeline.spec import HostFacts, Job, JobGpu, Shard
from pipeline.worker import runner
from pipeline.worker.job import run_job_file
from pipeline.worker.runner import Roots, run
from tests.builders import make_workload
from tests.worker import test_runner
from tests.worker.test_runner import DATA, StepwiseBackend, ignore, make_job

DOCS, SHARDS = 7, 3
WALL = ShardsWall(generate_s=2.0, wall_s=3.0)
GPU = {"gpu_name": "NVIDIA H200", "gpu_count": 8}


CATALOG = load_catalog()
MODEL = CATALOG.models["gemma-3-270m"]
CPU = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")
REQUEST = Request("mine", "offline", None, make_workload(), MODEL, "process")


@dataclass(frozen=True)
class Rig:
    """Runs jobs on StepwiseBackend, in a folder of results."""

    results: Path
    job: Job

    @property
    def parts(self) -> list[Job]:
        return shard_jobs(self.job)

    def run(self, job: Job) -> Result:
        (self.results / job.folder).mkdir(parents=True, exist_ok=True)
        return run(job, Roots(DATA, self.results, self.results), ignore)

    def merged(self, shards: Sequence[Result], wall: ShardsWall = WALL) -> Result:
        return merge(self.results, self.job, shards, wall)

    def documents(self, job: Job) -> Path:
        return self.results / job.folder / DOCUMENTS_FILE


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A job of seven documents in three shards, none of which has run."""
    monkeypatch.setattr(test_runner, "STEP_S", 0.001)
    monkeypatch.setattr(test_runner, "LOAD_S", 0.0)
    monkeypatch.setattr(runner, "create_backend", lambda name, setup: StepwiseBackend())
    chosen = choose(read_documents(DATA / "sample/howto_en.jsonl"), DOCS, 0)
    workload = replace(make_job().workload, docs=DOCS, documents_sha256=fingerprint(chosen))
    return Rig(tmp_path, make_job(workload=workload, shards=SHARDS))


@pytest.fixture
def shards(rig: Rig) -> list[Result]:
    """The results of all three, which nothing interrupted."""
    return [rig.run(part) for part in rig.parts]


def told(path: Path) -> list[tuple[Any, ...]]:
    """What documents.jsonl holds beside times."""
    return [
        tuple(value for name, value in vars(item).items() if not name.endswith("_s")) for item in read_completions(path)
    ]


def with_environment(shards: Sequence[Result], *changes: dict[str, Any]) -> list[Result]:
    return [
        replace(shard, environment=replace(shard.environment, **change))
        for shard, change in zip(shards, changes, strict=True)
    ]


def test_every_document_is_one_shard_s_and_their_numbers_differ_by_one_at_most() -> None:
    taken = [list(Shard(number, 4).positions(10)) for number in (1, 2, 3, 4)]
    assert sorted(position for part in taken for position in part) == list(range(10))
    assert sorted(map(len, taken)) == [2, 2, 3, 3]


def test_shards_lie_in_their_job_s_folder_and_each_has_a_key_of_its_own(rig: Rig) -> None:
    assert [part.folder for part in rig.parts] == [f"run/job/shard-{number}-of-3" for number in (1, 2, 3)]
    assert len({rig.job.key, *(part.key for part in rig.parts)}) == SHARDS + 1


def test_a_shard_goes_on_from_its_documents_without_being_asked(rig: Rig) -> None:
    assert all(part.resume_documents for part in rig.parts)


def test_a_job_in_shards_is_another_than_the_whole_one() -> None:
    [item] = select(["lead-3"], CATALOG, MODEL, CPU, lambda *_: None)
    assert isinstance(item, Selected)
    whole, split = (
        make_planned(item, replace(REQUEST, shards=number), CPU, None, HostFacts()) for number in (1, SHARDS)
    )
    assert whole.key != split.key
    assert split.folder.startswith("mine/lead-3.offline.3-shards--")


def test_a_sharded_job_equals_the_unsharded_one_in_outputs_and_score(rig: Rig, shards: list[Result]) -> None:
    whole = replace(rig.job, folder="run/whole", shards=1)
    result, merged = rig.run(whole), rig.merged(shards)
    assert told(rig.documents(rig.job)) == told(rig.documents(whole))
    assert merged.quality == result.quality
    assert merged.prompt_ids_sha256 == result.prompt_ids_sha256 is not None
    assert merged.metrics is not None and result.metrics is not None
    for name in ("docs", "prompt_tokens_mean", "output_tokens_mean", "docs_too_long", "docs_resumed"):
        assert getattr(merged.metrics, name) == getattr(result.metrics, name)


def test_the_merged_result_stands_in_the_job_s_folder(rig: Rig, shards: list[Result]) -> None:
    merged = rig.merged(shards)
    assert read_result(rig.results / rig.job.folder / RESULT_FILE) == merged
    assert (merged.job.key, merged.job.shards, merged.job.shard) == (rig.job.key, SHARDS, None)


def test_speed_is_all_documents_over_the_wall_clock_of_all_shards(rig: Rig, shards: list[Result]) -> None:
    merged = rig.merged(shards)
    assert merged.metrics is not None
    assert merged.metrics.docs_per_s == DOCS / 2.0
    assert (merged.timing.generate_s, merged.timing.repeats, merged.timing.wall_s) == (2.0, (2.0,), 3.0)


def test_each_shard_has_a_row_with_its_own_speed(rig: Rig, shards: list[Result]) -> None:
    rows = rig.merged(shards).shards
    assert [(row.number, row.docs, row.resumed) for row in rows] == [(1, 3, 0), (2, 2, 0), (3, 2, 0)]
    assert [row.docs_per_s for row in rows] == [shard.metrics and shard.metrics.docs_per_s for shard in shards]
    assert all(row.docs_per_s for row in rows)


def test_without_a_clock_s_word_there_is_no_speed(rig: Rig, shards: list[Result]) -> None:
    merged = rig.merged(shards, ShardsWall())
    assert merged.metrics is not None and merged.metrics.docs_per_s is None


def test_a_killed_shard_goes_on_from_its_documents_and_speed_is_then_unknown(rig: Rig, shards: list[Result]) -> None:
    whole = told(rig.documents(rig.parts[0]))
    path = rig.documents(rig.parts[0])
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    again = rig.run(rig.parts[0])
    merged = rig.merged([again, *shards[1:]])
    assert told(path) == whole
    assert merged.metrics is not None and merged.timing.generate_s is None
    assert (merged.metrics.docs_per_s, merged.metrics.latency_s, merged.metrics.docs_resumed) == (None, None, 1)
    assert merged.shards[0].resumed == 1
    assert "shard 1: 1 of 3 documents are an interrupted attempt's, so there is no speed" in merged.warnings


def test_a_failed_shard_fails_the_job_and_is_named(rig: Rig, shards: list[Result]) -> None:
    failure = Failure("cuda_oom", "generate", "CUDA out of memory", "a smaller --batch-size")
    merged = rig.merged([shards[0], replace(shards[1], status="failed", failure=failure, metrics=None), shards[2]])
    assert merged.status == "failed"
    assert merged.failure == replace(failure, message="shard 2 of 3: CUDA out of memory")
    assert [row.status for row in merged.shards] == ["ok", "failed", "ok"]
    assert not rig.documents(rig.job).exists()


def left(results: Path, job: Job) -> list[Job]:
    done = finished(results, job)
    return [part for number, part in enumerate(shard_jobs(job), start=1) if number not in done]


def test_what_is_left_is_the_shards_that_are_not_ok(rig: Rig, shards: list[Result]) -> None:
    assert left(rig.results, rig.job) == []
    folder = rig.results / rig.parts[1].folder
    write_result(folder, replace(shards[1], status="failed", failure=Failure("unknown", "load", "broke")))
    assert left(rig.results, rig.job) == [rig.parts[1]]
    (folder / RESULT_FILE).unlink()
    assert left(rig.results, rig.job) == [rig.parts[1]]


def test_shards_of_another_job_are_none_of_this_one(rig: Rig, shards: list[Result]) -> None:
    other = replace(rig.job, key="b" * 64)
    assert len(left(rig.results, other)) == SHARDS
    with pytest.raises(ValueError, match="not the results of its shards"):
        merge(rig.results, other, shards, WALL)


def cut(lines: list[bytes]) -> list[bytes]:
    return [*lines[:1], lines[1][:20]]


def lose(lines: list[bytes]) -> list[bytes]:
    return lines[:1]


def add(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[0]]


def damage(lines: list[bytes]) -> list[bytes]:
    return [b"{damaged\n", *lines[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, "ends after 1 of its 2 documents"),
        (lose, "ends after 1 of its 2 documents"),
        (add, "holds more than its 2 documents"),
        (damage, "line 1: not valid JSON"),
    ],
)
def test_documents_that_are_not_a_shard_s_are_refused(
    rig: Rig, change: Any, message: str, shards: list[Result]
) -> None:
    path = rig.documents(rig.parts[1])
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(UsageError) as caught:
        rig.merged(shards)
    assert f"{path}: {message}" in str(caught.value)
    assert not rig.documents(rig.job).exists()


def test_a_document_that_two_shards_have_is_refused(rig: Rig, shards: list[Result]) -> None:
    first, second = (rig.documents(part) for part in rig.parts[:2])
    stranger = read_completions(first)[0]
    second.write_text(document_line(stranger) + second.read_text().splitlines(keepends=True)[1])
    with pytest.raises(UsageError) as caught:
        rig.merged(shards)
    assert f"{second}: line 1: document {stranger.id!r} stands in {first}: line 1 already" in str(caught.value)


def test_energy_adds_up_and_the_peak_of_memory_is_the_largest_device_s(rig: Rig, shards: list[Result]) -> None:
    metered = [
        replace(shard, metrics=shard.metrics and replace(shard.metrics, energy_j=10.0, peak_memory_bytes=number))
        for number, shard in enumerate(shards, start=1)
    ]
    found = rig.merged(metered).metrics
    assert found is not None and (found.energy_j, found.peak_memory_bytes) == (30.0, 3)


def test_energy_is_unknown_where_one_shard_s_is(rig: Rig, shards: list[Result]) -> None:
    assert shards[0].metrics is not None
    metered = [replace(shards[0], metrics=replace(shards[0].metrics, energy_j=10.0)), *shards[1:]]
    found = rig.merged(metered).metrics
    assert found is not None and found.energy_j is None


def test_gpus_are_counted_by_what_the_shards_ran_on(rig: Rig, shards: list[Result]) -> None:
    two = with_environment(
        shards, {**GPU, "gpu_uuids": ("GPU-a",)}, {**GPU, "gpu_uuids": ("GPU-b",)}, {**GPU, "gpu_uuids": ("GPU-a",)}
    )
    merged = rig.merged(two)
    assert (merged.devices, merged.environment.gpu_count) == (2, 2)
    unknown = with_environment(shards, {**GPU, "gpu_uuids": ("GPU-a",)}, {**GPU, "gpu_uuids": ("GPU-b",)}, GPU)
    assert rig.merged(unknown).devices is None


def test_shards_without_a_gpu_ran_on_as_many_machines_as_there_are_nodes(rig: Rig, shards: list[Result]) -> None:
    assert rig.merged(shards).devices == 1
    nodes = with_environment(shards, {"node": "a"}, {"node": "b"}, {"node": "b"})
    merged = rig.merged(nodes)
    assert merged.devices == 2
    assert [row.device for row in merged.shards] == ["a", "b", "b"]


def test_what_the_shards_differ_in_is_a_warning(rig: Rig, shards: list[Result]) -> None:
    same = {"numpy": "2"}
    different = with_environment(
        shards,
        {"driver_version": "580", "packages": {**same, "torch": "1"}},
        {"driver_version": "581", "packages": same},
        {"packages": {}},
    )
    warnings = rig.merged(different).warnings
    assert "the shards differ in driver_version: 580, 581" in warnings
    assert "the shards differ in packages: torch" in warnings


def test_a_shard_that_is_no_part_of_its_job_is_refused(rig: Rig) -> None:
    path = rig.results / "run" / "job.json"
    for shard, message in ((Shard(4, 3), "4 of 3 is no part of 7"), (Shard(1, 8), "1 of 8 is no part of 7")):
        job = replace(rig.job, shards=shard.of, shard=shard, lock_sha256="0" * 64, code_sha256="0" * 64)
        write_json(path, codec.encode(job))
        with pytest.raises(UsageError, match=message):
            run_job_file(path, Roots(DATA, rig.results, rig.results), ignore)


def test_a_job_that_is_split_runs_in_its_shards_alone(rig: Rig) -> None:
    path = rig.results / "run" / "job.json"
    write_json(path, codec.encode(replace(rig.job, lock_sha256="0" * 64, code_sha256="0" * 64)))
    with pytest.raises(UsageError, match="made of its shards' results"):
        run_job_file(path, Roots(DATA, rig.results, rig.results), ignore)


def test_beginning_again_keeps_what_shards_did(rig: Rig) -> None:
    [item] = select(["lead-3"], CATALOG, MODEL, CPU, lambda *_: None)
    assert isinstance(item, Selected)
    request = replace(REQUEST, shards=SHARDS)
    job = make_planned(item, request, CPU, None, HostFacts())
    begin_sharded(rig.results, job, item, request, CPU)
    part = shard_jobs(job)[0]
    begin(rig.results, part, item, request, CPU)
    (rig.results / part.folder / DOCUMENTS_FILE).write_text("done")
    begin_sharded(rig.results, job, item, request, CPU)
    begin(rig.results, part, item, request, CPU)
    assert (rig.results / part.folder / DOCUMENTS_FILE).read_text() == "done"
    assert (rig.results / job.folder / JOB_FILE).exists()
    begin_sharded(rig.results, job, item, request, CPU, fresh=True)
    assert not (rig.results / part.folder).exists()
