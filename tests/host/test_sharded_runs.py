"""Jobs in shards, over real processes: what they come to, and what a shard that breaks leaves to do."""

from pipeline.results import DOCUMENTS_FILE, Result, read_documents
from tests.runs import Run

SHARDED = ("--experiment", "lead-3", "--shards", "2", "--launches", "1")
WHOLE = ("--experiment", "lead-3", "--launches", "1")


def documents(run: Run, result: Result) -> list[tuple[str, str, float | None]]:
    [path] = run.results.glob(f"mine/*--{result.job.key[:8]}/{DOCUMENTS_FILE}")
    return [(document.id, document.text, document.rouge1_f1) for document in read_documents(path)]


def logs(run: Run) -> dict[str, float]:
    """When each shard was last started."""
    return {path.parent.name: path.stat().st_mtime_ns for path in run.results.glob("mine/*/shard-*/log.txt")}


def test_a_sharded_job_comes_to_what_one_worker_does(run: Run) -> None:
    [sharded], _ = run(*SHARDED, seats=2)
    [whole], _ = run(*WHOLE)
    assert documents(run, sharded) == documents(run, whole)
    assert sharded.quality == whole.quality
    assert sharded.prompt_ids_sha256 == whole.prompt_ids_sha256


def test_its_speed_is_by_the_clock_from_the_first_hand_over_to_the_last_completion(run: Run) -> None:
    [result], _ = run(*SHARDED)  # with one seat, so one shard after the other
    assert result.timing.generate_s is not None and result.metrics is not None and result.timing.wall_s is not None
    alone = [shard.generate_s for shard in result.shards]
    assert sum(seconds for seconds in alone if seconds is not None) < result.timing.generate_s < result.timing.wall_s
    assert result.metrics.docs_per_s == 2 / result.timing.generate_s


def test_of_a_job_with_a_broken_shard_only_that_one_is_done_again(run: Run) -> None:
    [broken], _ = run(*SHARDED, fails=["shard-2-of-2"], retries=0)
    assert broken.status == "failed" and broken.failure is not None
    assert broken.failure.message.startswith("shard 2 of 2: ended with status 3")
    before = logs(run)
    [result], _ = run(*SHARDED)
    after = logs(run)
    assert {name for name in after if after[name] != before[name]} == {"shard-2-of-2"}
    assert [shard.status for shard in result.shards] == ["ok", "ok"]
    assert result.status == "ok" and result.timing.generate_s is None  # of two commands no clock saw both


def test_a_shard_that_cannot_be_started_leaves_the_others_their_work(run: Run) -> None:
    [broken], _ = run(*SHARDED, refuses=["shard-1-of-2"])
    assert broken.failure is not None and broken.failure.message == "shard 1 of 2: no engine answers"
    assert [shard.status for shard in broken.shards] == ["failed", "ok"]


def test_a_sharded_job_that_is_done_is_kept(run: Run) -> None:
    run(*SHARDED)
    [result], watcher = run(*SHARDED)
    assert (result.status, watcher.kept) == ("ok", [True])


def test_fresh_does_every_shard_anew(run: Run) -> None:
    run(*SHARDED)
    before = logs(run)
    [result], _ = run(*SHARDED, rerun="fresh")
    assert all(logs(run)[name] != at for name, at in before.items())
    assert result.timing.generate_s is not None
