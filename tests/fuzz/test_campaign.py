"""The campaign runs both tools over a target, counts their inputs, and says what broke."""

import re
import subprocess
import sys
import time
from pathlib import Path

from pipeline.errors import BenchmarkError
from tests.fuzz.campaign import _generate
from tests.fuzz.property import REPOSITORY, Target


def test_the_campaign_counts_the_inputs_of_both_tools() -> None:
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--seconds", "2", "--target", "progress line"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^progress line: [1-9]\d* by hypothesis, [1-9]\d* by atheris in \d+ s; holds$", done.stdout, re.M)


def test_what_breaks_a_parser_is_told_with_its_input() -> None:
    def parse(data: bytes, _folder: Path) -> None:
        if b"\0" in data:
            raise KeyError("NUL")
        raise BenchmarkError("refused")

    count, finding = _generate(Target("fragile", parse, (b"sound",)), time.monotonic() + 10, first=0)
    assert count > 0
    assert finding is not None
    assert "KeyError: 'NUL'" in finding
    assert r"b'\x00'" in finding
