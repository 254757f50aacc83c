"""A base for the images of the CPU variants from Debian's packages, for machines that can't pull the declared one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import docker

NAME = "summarisation-benchmark-test-base:bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")


class CannotMakeError(Exception):
    """There is no making it here; the message says what is missing."""


def debian_base(client: docker.DockerClient) -> str:
    """The base's name. It is made on the first call (a minute) and kept on the engine."""
    if not client.images.list(name=NAME):
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise CannotMakeError("making one takes root and debootstrap (apt-get install debootstrap)")
        with tempfile.TemporaryDirectory() as folder:
            _import(client, _archive(Path(folder)))
    return NAME


def _archive(folder: Path) -> Path:
    root, archive = folder / "root", folder / "root.tar"
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", str(root)]
    for command in (debootstrap, ["tar", "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb",
                                  "--exclude=./dev/*", "-C", str(root), "-cf", str(archive), "."]):  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise CannotMakeError(f"{command[0]} failed: {done.stdout[-2000:]}")
    return archive


def _import(client: docker.DockerClient, archive: Path) -> None:
    repository, _, tag = NAME.partition(":")
    client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
