"""What holds for every parser of outside data, whatever it is given.

It returns a value, or refuses in one sentence that names the file; it ends in time; it touches nothing outside its
folder.
"""

import contextlib
import functools
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from huggingface_hub import constants

from pipeline.errors import BenchmarkError

LIMIT_S = 10.0
"""How long a parser may take over one input on a busy machine; what hangs takes for ever."""
INSIDE = "inside"
REPOSITORY = Path(__file__).parent.parent.parent
BAD_USAGE = 2
MESSAGE_CHARACTERS = 5_000

# What Python itself and the code under test live in, and what the system tells about this machine.
_OWN = (
    str(REPOSITORY),
    sys.prefix,
    os.path.realpath(sys.prefix),
    sys.base_prefix,
    "/proc",
    "/sys",
    "/dev/null",
    "/usr/share",
    "/usr/lib",
    "/etc/mime",
    constants.HF_HOME,
)
_EVENTS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"}


@dataclass(frozen=True)
class Target:
    """One parser of outside data.

    parse: given the input and a folder of its own; it may return anything and raise BenchmarkError or SystemExit(2).
    names: what a refusal has to mention, the file that is at fault; None where no file is.
    seeds: inputs that are sound or nearly so, for mutations to start from.
    tokens: pieces that parsers of this kind stumble over, as they would stand in the input.
    """

    name: str
    parse: Callable[[bytes, Path], Any]
    seeds: tuple[bytes, ...]
    names: str | None = None
    tokens: tuple[bytes, ...] = ()


class Violation(AssertionError):
    """The property does not hold for an input."""


@dataclass
class _Watch:
    """Which files the code under test opens or changes; off outside `watched`."""

    on: bool = False
    touched: list[str] = field(default_factory=list)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by the interpreter for all that it does; audit hooks can't be removed."""
        if self.on and event in _EVENTS:
            self.touched.extend(os.fsdecode(item) for item in arguments[:2] if isinstance(item, str | bytes))


@functools.cache
def _watch() -> _Watch:
    watch = _Watch()
    sys.addaudithook(watch.hook)
    return watch


def check(target: Target, data: bytes, scratch: Path) -> None:
    """Raise Violation, or whatever the parser raised, unless the property holds for that input.

    scratch: an empty folder, which is emptied again; the parser gets a folder inside it.
    """
    folder = scratch / INSIDE
    folder.mkdir()
    try:
        with _in_time(target), _watched(target, folder), contextlib.redirect_stderr(io.StringIO()):
            _parse(target, data, folder)
        if [path.name for path in scratch.iterdir()] != [INSIDE]:
            raise Violation(f"{target.name}: wrote outside its folder: {list(scratch.iterdir())}")
    finally:
        shutil.rmtree(scratch)
        scratch.mkdir()


def _parse(target: Target, data: bytes, folder: Path) -> None:
    try:
        target.parse(data, folder)
    except BenchmarkError as error:
        message = str(error)
        if target.names is not None and target.names not in message:
            raise Violation(f"{target.name}: the refusal doesn't name {target.names}: {message!r}") from error
        if len(message) > MESSAGE_CHARACTERS + len(data.partition(b"\n")[0]):
            raise Violation(f"{target.name}: a refusal of {len(message)} characters: {message[:200]!r}…") from error
    except SystemExit as end:
        if end.code not in (0, BAD_USAGE):
            raise Violation(f"{target.name}: ends with {end.code!r}") from end


@contextlib.contextmanager
def _in_time(target: Target) -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Violation(f"{target.name}: not done after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _watched(target: Target, folder: Path) -> Iterator[None]:
    watch = _watch()
    watch.touched.clear()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    watch.on = True
    try:
        yield
    finally:
        watch.on = False
        tempfile.tempdir = before
    allowed = (*_OWN, str(folder), str(folder.resolve()))
    for name in watch.touched:
        # what is relative starts in the repository, where the tests run
        if name.startswith("/") and not os.path.normpath(name).startswith(allowed):
            raise Violation(f"{target.name}: touched {name!r}, outside its folder")
