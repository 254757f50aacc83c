"""--explain as its user meets it: any log, from a file or a pipe."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


def explain(given: str | Path, *more: str, log: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "orchestrator.py", "--explain", str(given), *more]
    return subprocess.run(command, cwd=REPOSITORY, input=log, capture_output=True, check=False)


def explained(log: bytes) -> Any:
    done = explain("-", "--json", log=log)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_log_file_is_explained_in_words(tmp_path: Path) -> None:
    path = tmp_path / "pasted.txt"
    path.write_text(f"INFO loading\n{OOM}\n", encoding="utf-8")
    done = explain(path)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "class   cuda_oom",
        "cause   the GPU's memory is full",
        "fix     a smaller --batch-size, quantised weights (4-bit, vllm-awq, gguf-q4) or a GPU with more memory",
        f"log     {OOM}",
        "more    docs/troubleshooting.md#cuda_oom",
    ]


def test_standard_input_is_explained_as_json() -> None:
    found = explained(f"{OOM}\n".encode())
    assert (found["class"], found["line"], found["retry"]) == ("cuda_oom", OOM, False)
    assert found["cause"] and found["fix"] and found["group"] == "any" and found["source"]


def test_what_is_not_known_comes_with_its_last_lines() -> None:
    found = explained(b"loading\nAssertionError: heads must divide\n")
    assert (found["class"], found["line"]) == ("unknown", "loading\nAssertionError: heads must divide")
    assert found["group"] is None


@pytest.mark.parametrize("log", [b"", b"\n\n", bytes(range(256)) * 50])
def test_what_is_no_log_is_unknown(log: bytes) -> None:
    assert explained(log)["class"] == "unknown"


def test_only_the_end_of_a_long_log_is_looked_at() -> None:
    assert explained(f"{OOM}\n".encode() + b"step\n" * 1_000_000 + b"KeyError: 'x'\n")["class"] == "unknown"


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_what_cannot_be_read_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    done = explain(tmp_path / name)
    assert done.returncode == 2
    assert f"error: {tmp_path / name}: can't be read as a log".encode() in done.stderr
    assert done.stdout == b""


def test_a_log_does_nothing_to_the_terminal() -> None:
    log = f"\x1b]0;title\x07\x1b[2J\x9b31m{OOM}\x07\x08 token hf_{'a' * 30}\n".encode()
    for more in ((), ("--json",)):
        shown = explain("-", *more, log=log).stdout.decode()
        assert "cuda_oom" in shown
        assert not [
            character for character in shown if (ord(character) < 32 and character != "\n") or ord(character) > 126
        ]
        assert "hf_aaa" not in shown
