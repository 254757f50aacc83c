"""What a fault takes besides signals: workers that dawdle or misbehave, small disks, damage to files."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.host.environments import READY_FILE, environment_folder
from tests.containers.support import cannot_run, variant_of

RUN_WORKER = """
import runpy, sys
sys.argv = sys.argv[2:]  # behind -m
runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
"""

LOADS_SLOWLY = """
import time
from pipeline.worker.backends.lead import Lead
Lead.load = lambda self: time.sleep(60)
"""
WARMS_UP_SLOWLY = """
import time
from pipeline.worker.backends.lead import Lead
Lead.generate = lambda self, requests, on_step=None: time.sleep(60)
"""
GENERATES_SLOWLY = """
import time
from pipeline.worker import repeats
from pipeline.worker.backends.lead import Lead
at_once = Lead.generate
def generate(self, requests, on_step=None):
    for completion in at_once(self, requests, on_step):
        time.sleep(0.5)
        yield completion
def then_slow(*arguments, before=repeats.generate, **named):
    Lead.generate = generate
    return before(*arguments, **named)
repeats.generate = then_slow
"""
"""The real worker of lead-3, whose adapter takes its time in one phase."""

EXT4_IOC_SHUTDOWN = 0x8004587D  # linux/ext4.h
WITHOUT_FLUSHING = (2).to_bytes(4, sys.byteorder)


def rig(cache: Path, prelude: str, image: str = "reference") -> None:
    """Have an environment's Python run a script before the real worker. The cache is a private one."""
    folder = environment_folder(cache, *variant_of(image))
    real = folder.resolve() if folder.is_symlink() else folder.joinpath("real").resolve()
    unrig(cache, image)
    folder.unlink()
    folder.joinpath("bin").mkdir(parents=True)
    folder.joinpath("real").symlink_to(real)
    folder.joinpath(READY_FILE).touch()
    script = folder / "script.py"
    script.write_text(prelude + RUN_WORKER, encoding="utf-8")
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {real}/bin/python {script} "$@"\n', encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)


def unrig(cache: Path, image: str = "reference") -> None:
    """The environment as it was."""
    folder = environment_folder(cache, *variant_of(image))
    if not folder.is_symlink():
        real = folder.joinpath("real").resolve()
        shutil.rmtree(folder)
        folder.symlink_to(real)


def root(*command: str) -> str:
    """Run a command that takes root, for what it prints; where it fails the test can't be run."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        cannot_run(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def mounted(*mount: str, over: Path) -> Iterator[None]:
    """A file system (mount's arguments) over a folder, whose content is copied into it."""
    kept = over.with_name(f"{over.name}.below")
    shutil.copytree(over, kept, symlinks=True)
    root("mount", *mount, str(over))
    try:
        shutil.copytree(kept, over, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(over)], check=True)


def fill(disk: Path, leave_bytes: int = 0) -> Path:
    """A file that takes all the space of a disk but so much; its path."""
    filler = disk / "filler"
    with filler.open("wb") as stream:
        stream.write(b"\0" * max(0, shutil.disk_usage(disk).free - leave_bytes))
    return filler


def cut_power(folder: Path) -> None:
    """What an ext4 file system has not written down yet is lost, and nothing can be written to it any more."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, WITHOUT_FLUSHING)
    finally:
        os.close(handle)


def remount(folder: Path, how: str) -> None:
    """Make a mounted file system read-only (ro) or writable (rw)."""
    root("mount", "-o", f"remount,{how}", str(folder))
