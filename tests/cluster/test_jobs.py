"""Jobs on a real cluster of several raylets: where they run, and what becomes of them when a node or a command dies."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from pipeline.results import DocumentResult, Result, read_documents, read_result
from tests.cluster.conftest import Orchestrate
from tests.cluster.support import DOCS, LocalCluster, wait_until

GENERATING = ["--experiment", "gguf-q4", "--max-new-tokens", "24", "--batch-size", "1"]
ON = "--ray-resources"
A100, T4, POOL = [ON, "accelerator_type:A100=0.001"], [ON, "accelerator_type:T4=0.001"], [ON, "pool=1"]


def finish(command: "subprocess.Popen[str]") -> str:
    """What the command said, once it has ended well."""
    stdout, stderr = command.communicate()
    assert command.returncode == 0, stdout + stderr
    return stdout + stderr


def the_result(results: Path) -> Result:
    [path] = results.glob("test/*/result.json")
    return read_result(path)


def documents(results: Path) -> list[DocumentResult]:
    paths = list(results.glob("test/*/documents.jsonl"))
    return read_documents(paths[0]) if paths else []


def job_processes(cache: Path) -> list[str]:
    """Command lines of jobs that run on this cluster's nodes: their documents lie in the nodes' cache."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--job" in words and any(word.startswith(f"{cache.resolve()}/documents/") for word in words):
            found.append(" ".join(words))
    return found


def test_jobs_land_on_the_nodes_that_have_the_accelerator_asked_for(orchestrate: Orchestrate, tmp_path: Path) -> None:
    lead = ["--experiment", "lead-3"]
    commands = {
        "n-a100": orchestrate(tmp_path / "n-a100", *lead, *A100),
        "n-t4": orchestrate(tmp_path / "n-t4", *lead, *T4),
    }
    for node, command in commands.items():
        said = finish(command)
        result = the_result(tmp_path / node)
        assert (result.status, result.environment.node, result.job.launcher) == ("ok", node, "ray-process")
        assert "[1/1] lead-3: generate" in said  # progress came while it ran
        assert len(documents(tmp_path / node)) == DOCS


def test_a_job_whose_raylet_is_killed_goes_on_elsewhere_and_nothing_is_generated_twice(
    orchestrate: Orchestrate, local_cluster: LocalCluster, cache: Path, tmp_path: Path
) -> None:
    local_cluster.add("n-lost", place=1)
    command = orchestrate(tmp_path, *GENERATING, ON, "place=1")
    wait_until(lambda: "load" in log_of(tmp_path), "the job's start on the node")
    local_cluster.add("n-found", place=1)
    wait_until(lambda: len(documents(tmp_path)) >= 2, "two documents from the node")
    local_cluster.kill("n-lost")
    wait_until(lambda: "was lost under the job" in log_of(tmp_path), "the loss in the job's log")
    before = {document.id: document for document in documents(tmp_path)}
    said = finish(command)
    result, after = the_result(tmp_path), documents(tmp_path)
    local_cluster.kill("n-found")

    assert result.status == "ok"
    assert result.environment.node == "n-found"
    assert len({document.id for document in after}) == len(after) == DOCS
    assert 2 <= len(before) < DOCS
    # the very lines that the lost node sent: their times are those of the one generation
    assert {item.id: (item.text, item.latency_s) for item in after if item.id in before} == {
        item.id: (item.text, item.latency_s) for item in before.values()
    }
    assert first_progress_after_loss(tmp_path) == len(before)
    assert result.metrics is not None and result.metrics.docs_per_s is None
    warning = f"node n-lost was lost under the job, which went on elsewhere from {len(before)} documents that were done"
    assert warning in result.warnings
    assert "gguf-q4: node n-lost was lost" in said
    assert "(raylet)" not in said  # standard output may be somebody's JSON
    wait_until(lambda: not job_processes(cache), "the end of the lost node's process", 30)


def log_of(results: Path) -> str:
    paths = list(results.glob("test/*/log.txt"))
    return paths[0].read_text(encoding="utf-8") if paths else ""


def first_progress_after_loss(results: Path) -> int:
    """How many documents the worker that went on counted as done when it began to generate."""
    _, _, rest = log_of(results).partition("was lost under the job")
    lines: list[Any] = [
        json.loads(line.removeprefix("@progress ")) for line in rest.splitlines() if "@progress" in line
    ]
    return next(int(line[1]) for line in lines if line[0] == "generate")


def test_an_interrupt_ends_the_job_on_its_node_and_keeps_the_documents_that_came(
    orchestrate: Orchestrate, cache: Path, tmp_path: Path
) -> None:
    command = orchestrate(tmp_path, *GENERATING, *POOL)
    wait_until(lambda: documents(tmp_path), "a document from the node")
    command.send_signal(signal.SIGINT)
    command.communicate()
    assert command.returncode == 130
    assert job_processes(cache) == []
    assert documents(tmp_path)


def test_a_command_that_is_killed_leaves_nothing_running_on_nodes(
    orchestrate: Orchestrate, cache: Path, tmp_path: Path
) -> None:
    command = orchestrate(tmp_path, *GENERATING, *POOL)
    wait_until(lambda: job_processes(cache), "the job's process")
    command.kill()
    wait_until(lambda: not job_processes(cache), "the end of the job's process", 60)


def test_what_no_node_has_is_refused_at_once_with_what_there_is(orchestrate: Orchestrate, tmp_path: Path) -> None:
    command = orchestrate(tmp_path, "--experiment", "lead-3", "--gpu", "h100")
    _, stderr = command.communicate()
    assert command.returncode == 2
    assert "no node of the Ray cluster has 1 GPU of type H100" in stderr
    assert "n-a100 (1 CPU, A100)" in stderr


def test_a_job_s_four_shards_spread_over_the_nodes_and_come_to_what_one_worker_makes(
    orchestrate: Orchestrate, local_cluster: LocalCluster, tmp_path: Path
) -> None:
    local_cluster.add("n-fourth")
    finish(orchestrate(tmp_path / "whole", *GENERATING))
    finish(orchestrate(tmp_path / "sharded", *GENERATING, "--shards", "4"))
    local_cluster.kill("n-fourth")
    whole, sharded = the_result(tmp_path / "whole"), the_result(tmp_path / "sharded")
    shards = [read_result(path) for path in tmp_path.glob("sharded/test/*/shard-*/result.json")]

    assert (whole.status, sharded.status) == ("ok", "ok")
    assert len(shards) == 4
    assert len({shard.environment.node for shard in shards}) >= 2  # a node may be done before another has begun
    assert made_of(tmp_path / "sharded") == made_of(tmp_path / "whole")
    assert sharded.quality is not None
    assert (sharded.quality, sharded.prompt_ids_sha256) == (whole.quality, whole.prompt_ids_sha256)


def made_of(results: Path) -> list[tuple[Any, ...]]:
    """What each document came to, apart from times."""
    return [
        (item.id, item.text, item.finish_reason, item.prompt_tokens, item.output_tokens, item.prompt_sha256)
        for item in documents(results)
    ]
