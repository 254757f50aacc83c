"""A command on a pseudo-terminal, and what a person would see there."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyte

LIMIT_S = 300.0


@dataclass(frozen=True)
class Frame:
    """What stood on the screen after a piece of output: its lines without the blanks at their ends."""

    lines: tuple[str, ...]
    columns: int

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines).rstrip()

    def find(self, start: str) -> str | None:
        """The first line that starts so."""
        return next((line for line in self.lines if line.startswith(start)), None)


@dataclass
class Terminal:
    """A terminal emulator around one command, whose controlling terminal it is.

    frames: all that was seen, in order. output: every byte of it. stdout: a file instead of the terminal.
    """

    columns: int = 100
    rows: int = 40
    frames: list[Frame] = field(default_factory=list)
    output: bytes = b""

    def start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: Path | None = None
    ) -> None:
        """Start the command there."""
        self._master, self._slave = pty.openpty()
        self._screen = pyte.Screen(self.columns, self.rows)
        self._stream = pyte.ByteStream(self._screen)
        self.resize(self.columns)
        self._settings = termios.tcgetattr(self._slave)
        out = stdout.open("wb") if stdout else None
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment},
            stdin=self._slave,
            stdout=out or self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        if out:
            out.close()

    def resize(self, columns: int) -> None:
        """As a person who drags the window's edge."""
        self.columns = columns
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, columns, 0, 0))
        self._screen.resize(self.rows, columns)

    def press(self, keys: bytes) -> None:
        """As a person types."""
        os.write(self._master, keys)

    def watch(self, until: Callable[[Frame], bool] = lambda _: False) -> Frame | None:
        """Look on until a frame is like that, and return it; None when the command ended before."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            if select.select([self._master], [], [], 0.05)[0]:
                frame = self._take(os.read(self._master, 1 << 16))
                if until(frame):
                    return frame
            elif ended:
                return None
        raise AssertionError(f"no end of it after {LIMIT_S} s:\n{self.frames[-1].text if self.frames else ''}")

    def end(self) -> int:
        """Look on until the command has ended; its exit status."""
        self.watch()
        return self._process.wait()

    def close(self) -> None:
        """End the command if it still runs, and give the terminal back."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    @property
    def last(self) -> Frame:
        """What stands on the screen."""
        return self.frames[-1]

    @property
    def left_as_it_was(self) -> bool:
        """Whether the cursor is visible and the terminal's settings are those that it had."""
        return not self._screen.cursor.hidden and termios.tcgetattr(self._slave) == self._settings

    def _take(self, output: bytes) -> Frame:
        self.output += output
        self._stream.feed(output)
        frame = Frame(tuple(line.rstrip() for line in self._screen.display), self.columns)
        if not self.frames or self.frames[-1] != frame:
            self.frames.append(frame)
        return frame


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
