"""Files that appear whole or not at all, are read only where they are files, and their fingerprints."""

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

from pipeline.errors import UsageError
from pipeline.plain import parse_json

CHUNK_BYTES = 1 << 20
HASHED_AT_ONCE = 100
"""Values: to encode them one by one takes several times as long."""
LARGEST_JSON_BYTES = 1 << 28


@contextmanager
def open_atomically(path: Path) -> Iterator[TextIO]:
    """A UTF-8 text stream whose content appears at path when the block ends well, and nowhere when it raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes 0600; results are for others to read too
        Path(temporary).replace(path)
        _sync_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Have the folder's entries on the disk, so that a new name outlives the machine's losing power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one, never a part of it."""
    with open_atomically(path) as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, in insertion order. NaN and infinity are refused: they are not JSON."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """A stream of a file's bytes. An OSError for anything else: a pipe would wait for ever, a device never end."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(errno.EINVAL, "its name holds a NUL character") from error
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        yield stream


def read_bytes(path: Path, largest: int) -> bytes:
    """A file's content; a UsageError if it can't be read or has more than `largest` bytes."""
    try:
        with open_regular(path) as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    if len(content) > largest:
        raise UsageError(f"{path}: larger than {largest} bytes, which no file of its kind is")
    return content


def read_json(path: Path) -> Any:
    """Read a JSON file into a plain value; a UsageError names the file and the place of the fault."""
    return parse_json(read_bytes(path, LARGEST_JSON_BYTES), str(path))


def create_anew(path: Path) -> IO[bytes]:
    """A new file for writing bytes, instead of whatever had that name: what a link there pointed to is left alone."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb")


def require_writable(folder: Path, what: str, mend: str) -> None:
    """Make the folder if it isn't there; a UsageError if it can't be written to.

    what: the folder in words. mend: the error's end.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fault = f"{folder}: {what} can't be written to by user {os.getuid()} ({error.strerror})"
        raise UsageError(f"{fault}; {mend}") from error


def holds_anything(folder: Path) -> bool:
    """Whether the folder is there and not empty."""
    return folder.is_dir() and any(folder.iterdir())


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal. An OSError for what is no file."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_files(root: Path, paths: list[Path]) -> str:
    """SHA-256 over several files: their names relative to root and their contents, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()


def sum_of_sha256(hashes: Iterable[str]) -> str:
    """One fingerprint of several, whatever their order: their sum modulo 2^256."""
    return f"{sum(int(one, 16) for one in hashes) % (1 << 256):064x}"


def sha256_json_of_all(values: Iterable[Any]) -> str:
    """sha256_json of a list of these, of which few are held at a time."""
    digest, before = hashlib.sha256(), "["
    left = iter(values)
    while chunk := list(islice(left, HASHED_AT_ONCE)):
        digest.update(f"{before}{_CANONICAL.encode(chunk)[1:-1]}".encode())
        before = ","
    digest.update(b"[]" if before == "[" else b"]")
    return digest.hexdigest()
