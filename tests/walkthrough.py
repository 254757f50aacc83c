"""Following a document step by step: the files it shows are written, its commands run, in its order.

A block after a line "`path`:" is that file; after "At the end of `path`:" it is added to it. A block marked sh is
commands.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.plan import REPOSITORY

LEFT_OUT = (".git", ".venv", "cache", "results", "prepared", "__pycache__", ".mypy_cache", ".ruff_cache",
            ".pytest_cache", "*.whl", "*.tar.gz")  # fmt: skip

_BLOCK = re.compile(r"(?ms)(?:^(?P<before>[^\n]*)\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$")
_FILE = re.compile(r"(?P<more>At the end of )?`(?P<path>[^`]+)`:")


@dataclass(frozen=True)
class Step:
    """path: the file that the text is, or is added to; None for commands."""

    text: str
    path: str | None = None
    added: bool = False


def read_steps(document: str) -> list[Step]:
    """What a document has its reader do, in its order. Blocks that are neither a file nor commands are none of it."""
    steps = []
    for block in _BLOCK.finditer(document):
        named = _FILE.fullmatch(block["before"] or "")
        if named:
            steps.append(Step(block["text"], named["path"], added=bool(named["more"])))
        elif block["kind"] == "sh":
            steps.append(Step(block["text"]))
    return steps


def section(document: str, heading: str) -> list[Step]:
    """What a document has its reader do under a heading, up to the next heading of any level."""
    _, _, rest = document.partition(f"\n{heading}\n")
    steps = read_steps(re.split(r"(?m)^##+ ", rest)[0])
    assert steps, f"the document has no steps under {heading}"
    return steps


def copy_repository(folder: Path) -> Path:
    """A copy as a checkout would be, with nothing that was made in this one but its virtual environment."""
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a document in a copy of the repository.

    environment: variables beside this process's. instead: parts of commands that this machine needs in other words.
    within: a command that theirs run in.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    within: Sequence[str] = ()

    def follow(self, step: Step) -> str:
        """Do it; what its commands printed. Fails at the first command that does, with all that was said."""
        if step.path is None:
            return self.run(step.text)
        path = self.folder / step.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if step.added else "x", encoding="utf-8") as file:
            file.write(step.text)
        return ""

    def run(self, commands: str) -> str:
        """Run commands in a shell that has the copy's virtual environment activated, where it has one."""
        activated = f"if [ -e .venv/bin/activate ]; then . .venv/bin/activate; fi\n{commands}"
        for part, other in self.instead.items():
            activated = activated.replace(part, other)
        done = subprocess.run(
            [*self.within, "bash", "-euo", "pipefail", "-c", activated],
            cwd=self.folder, env={**os.environ, **self.environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout
