"""Several shards' progress as one job's."""

from dataclasses import replace

from pipeline.host.shard_progress import ShardProgress
from pipeline.jobs import shard_jobs
from pipeline.progress import ProgressLine
from tests.fuzz.seeds import job


def test_documents_of_all_shards_count_those_done_by_an_earlier_command_too() -> None:
    whole = job(shards=3)
    whole = replace(whole, workload=replace(whole.workload, docs=9))
    first, second, _ = shard_jobs(whole)
    told: list[ProgressLine] = []
    seen = ShardProgress(whole, [first, second], told.append)
    seen.note(first, ProgressLine("load", 0, 3))
    seen.note(first, ProgressLine("generate", 1, 3, memory_bytes=5, output_tokens=20))
    seen.note(second, ProgressLine("generate", 2, 3, memory_bytes=6, output_tokens=10))
    assert seen.generate_s is None
    seen.note(first, ProgressLine("score", 3, 3))
    assert [(line.phase, line.done, line.total) for line in told] == [
        ("load", 3, 9),
        ("generate", 4, 9),
        ("generate", 6, 9),
        ("generate", 8, 9),
    ]
    assert (told[2].memory_bytes, told[2].output_tokens) == (11, 30)
    seen.note(second, ProgressLine("score", 3, 3))
    assert seen.generate_s is not None and told[-1].done == 9
