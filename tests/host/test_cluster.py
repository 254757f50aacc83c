"""What of a Ray cluster is decided without one: what jobs need of nodes, and what becomes of what nodes send."""

import json
import os
import socket
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import open_atomically
from pipeline.host.arguments import parse
from pipeline.host.cluster.events import Documents, Piece
from pipeline.host.cluster.node_folders import OWNER_FILE, scratch_folder
from pipeline.host.cluster.nodes import Need, Node, need_for
from pipeline.host.cluster.preparing import merge
from pipeline.host.cluster.received import Received
from pipeline.host.cluster.tail import Tail
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.prepare import Broken, Prepared
from pipeline.spec import JobWeights

CATALOG = load_catalog()
HEAD = Node("0", "head", {"node:__internal_head__": 1.0})
A100 = Node("1", "big", {"GPU": 8.0, "CPU": 64.0, "accelerator_type:A100": 1.0})
T4 = Node("2", "small", {"GPU": 1.0, "CPU": 8.0, "accelerator_type:T4": 1.0})
PLAIN = Node("3", "plain", {"CPU": 16.0, "pool": 1.0})
NODES = [HEAD, A100, T4, PLAIN]

GGUF, AWQ = ("gemma-3-270m", "gguf"), ("gemma-3-270m", "awq")


def test_a_gpu_by_name_is_any_node_of_that_accelerator_type() -> None:
    need, fitting = need_for("a100", CATALOG.gpus, NODES, {})
    assert (need.gpus, need.accelerator, fitting) == (1, "A100", [A100])


def test_auto_is_the_first_nodes_gpu() -> None:
    need, fitting = need_for("auto", CATALOG.gpus, NODES, {})
    assert (need.accelerator, fitting) == ("A100", [A100])


def test_auto_without_any_gpu_is_a_cpu() -> None:
    need, fitting = need_for("auto", CATALOG.gpus, [HEAD, PLAIN], {})
    assert (need.gpus, need.cpus, fitting) == (0, 16, [PLAIN])


def test_a_job_on_a_cpu_takes_a_whole_node_and_first_one_without_a_gpu() -> None:
    need, fitting = need_for("cpu", CATALOG.gpus, NODES, {})
    assert need.cpus == 16
    assert fitting == [PLAIN, A100]


def test_resources_of_the_users_narrow_the_nodes() -> None:
    assert need_for("cpu", CATALOG.gpus, [A100, PLAIN], {"pool": 0.5})[1] == [PLAIN]
    assert need_for("t4", CATALOG.gpus, NODES, {"pool": 0.5})[1] == []


def test_what_is_needed_and_what_there_is_are_told_in_words() -> None:
    need, _ = need_for("h100", CATALOG.gpus, NODES, {"pool": 1})
    assert need.describe() == "1 GPU of type H100 and pool=1"
    assert [node.describe() for node in NODES] == [
        "head (no resources)",
        "big (8 GPU, 64 CPU, A100)",
        "small (1 GPU, 8 CPU, T4)",
        "plain (16 CPU, pool=1)",
    ]


def test_a_job_without_a_gpu_stays_on_the_nodes_of_the_others() -> None:
    need = Need(gpus=0, accelerator="A100")
    assert [node for node in NODES if need.fits(node)] == [A100]


def test_every_gpu_that_can_be_named_says_what_ray_calls_it() -> None:
    assert [name for name, gpu in CATALOG.gpus.items() if not gpu.accelerator_types] == []


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--ray-address", "h:1"], "--ray-address is about a Ray cluster"),
        (["--launcher", "ray", "--gpus", "0"], "--gpus chooses among this host's GPUs"),
        (["--launcher", "ray", "--exclusive"], "--exclusive is about this host"),
        (["--launcher", "ray", "--env", "current"], "--env current is about this interpreter"),
        (["--launcher", "ray", "--ray-resources", "pool"], "--ray-resources pool: takes NAME=AMOUNT"),
        (["--launcher", "ray", "--ray-resources", "GPU=2"], "--ray-resources GPU=2: takes NAME=AMOUNT"),
        (["--launcher", "ray", "--ray-resources", "pool=0"], "--ray-resources pool=0: takes NAME=AMOUNT"),
        (["--launcher", "ray-process", "--pull"], "--launcher ray-process runs none"),
    ],
)
def test_options_that_contradict_a_cluster_are_refused(words: list[str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        parse(["--all", *words], CATALOG, LAUNCHERS)


def test_resources_are_taken_by_name() -> None:
    given = ["--ray-resources", "accelerator_type:A100=0.001", "--ray-resources", "pool=1"]
    arguments = parse(["--all", "--launcher", "ray", *given], CATALOG, LAUNCHERS)
    assert arguments.ray_resources == {"accelerator_type:A100": 0.001, "pool": 1.0}
    assert arguments.ray_address == "auto"


def test_documents_are_read_as_whole_lines_while_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    tail = Tail(path, b"")
    assert tail.read(1000) == b""
    with path.open("wb", buffering=0) as stream:
        stream.write(b"one\ntw")
        assert tail.read(1000) == b"one\n"
        stream.write(b"o\n")
        assert tail.read(1000) == b"two\n"


def test_a_job_that_goes_on_sends_only_what_it_adds(tmp_path: Path) -> None:
    path, earlier = tmp_path / "documents.jsonl", b"one\ntwo\n"
    path.write_bytes(earlier)
    tail = Tail(path, earlier)
    assert tail.read(1000) == b""
    with open_atomically(path) as kept:  # as the worker does before it goes on
        kept.write(earlier.decode())
    with path.open("ab", buffering=0) as stream:
        stream.write(b"three\n")
        assert tail.read(1000) == b"three\n"


def test_the_file_that_replaces_the_documents_in_the_end_is_not_taken_for_more_of_them(tmp_path: Path) -> None:
    path, earlier = tmp_path / "documents.jsonl", b"one\ntwo\n"
    path.write_bytes(earlier)
    tail = Tail(path, earlier)
    with open_atomically(path) as scored:  # with nothing left to generate, this is all that happens to it
        scored.write("one, scored\ntwo, scored\n")
    assert tail.read(1000) == b""


def test_documents_that_came_are_kept_and_a_torn_line_is_not(tmp_path: Path) -> None:
    received = Received(tmp_path)
    received.add(Documents(b"one\ntwo\n"))
    received.add(Documents(b"th"))
    assert received.earlier(wanted=True) == b"one\ntwo\n"
    received.add(Documents(b"three\n"))
    assert (tmp_path / "documents.jsonl").read_bytes() == b"one\ntwo\nthree\n"


def test_a_job_that_starts_again_keeps_no_documents(tmp_path: Path) -> None:
    received = Received(tmp_path)
    received.add(Documents(b"one\n"))
    assert received.earlier(wanted=False) == b""
    assert (tmp_path / "documents.jsonl").read_bytes() == b""


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    received = Received(tmp_path)
    received.take(Piece("result.json", b"{", last=False))
    assert not (tmp_path / "result.json").exists()
    received.take(Piece("result.json", b"}", last=True))
    assert json.loads((tmp_path / "result.json").read_text()) == {}


def test_what_a_lost_node_left_half_sent_is_gone(tmp_path: Path) -> None:
    received = Received(tmp_path)
    received.take(Piece("result.json", b"{", last=False))
    received.discard_parts()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../result.json", "/etc/passwd", "log.txt", "job.json", ""])
def test_a_node_names_no_file_but_those_that_jobs_leave(name: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="a node sent a file named"):
        Received(tmp_path).take(Piece(name, b"", last=True))


def test_what_a_killed_task_left_on_its_node_is_gone_with_the_next(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as alive:
        left = tmp_path / alive.name.replace(alive.name[-4:], "left")
        left.mkdir()
        (left / OWNER_FILE).write_text(f"{socket.gethostname()}:{os.getpid()}:0")  # of a process with its number before
        with scratch_folder(tmp_path):
            assert alive.is_dir()
            assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def weights(sha256: str) -> JobWeights:
    return JobWeights("gguf", "models/m/gguf", "real", "1", sha256 * 64)


def test_what_broke_on_one_node_is_broken(tmp_path: Path) -> None:
    broken = Broken("image vllm: no disk", tmp_path / "log.txt")
    merged = merge([Prepared(weights={GGUF: weights("a")}), Prepared({"vllm": broken}, {GGUF: weights("a")})])
    assert merged.images == {"vllm": broken}
    assert merged.weights == {GGUF: weights("a")}


def test_weights_that_differ_between_nodes_are_refused() -> None:
    merged = merge([Prepared(weights={AWQ: weights("a")}), Prepared(weights={AWQ: weights("b")})])
    found = merged.weights[AWQ]
    assert isinstance(found, Broken)
    assert "differ between nodes" in found.message
