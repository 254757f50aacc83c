"""Folders on a node: the one that goes with a task, the documents in the cache, and what a job leaves."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.files import sha256_file
from pipeline.host.cluster.events import FILES, Batch, Piece
from pipeline.host.cluster.ray import Shared, fetch
from pipeline.host.owner import is_gone, this_process
from pipeline.locks import exclusive

SCRATCH = "summarisation-benchmark-"
OWNER_FILE = ".owner"
PIECE_BYTES = 1 << 20


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for what goes with a task, after those that killed tasks left are removed."""
    parent = parent or Path(tempfile.gettempdir())
    for owner in parent.glob(f"{SCRATCH}*/{OWNER_FILE}"):
        with contextlib.suppress(OSError):  # it ends at this moment, or is another user's
            if is_gone(owner.read_text(encoding="utf-8")):
                shutil.rmtree(owner.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=parent))
    (folder / OWNER_FILE).write_text(this_process(), encoding="utf-8")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place_documents(cache: Path, relative: str, documents: Shared, sha256: str) -> Path:
    """A data folder with the job's documents, in the node's cache: fetched once a node, or once a shared cache."""
    folder = cache / "documents" / sha256
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".lock"):
        if not path.is_file() or sha256_file(path) != sha256:
            part = path.with_name(f"{path.name}.part")
            with part.open("wb") as stream:
                for piece in fetch(documents):
                    stream.write(piece)
            part.rename(path)
    return folder


def files_left(folder: Path) -> Iterator[Batch]:
    """What the job left, but for links, which it may have left to have other files read."""
    for path in (folder / name for name in FILES):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as stream:
            content = stream.read(PIECE_BYTES)
            while following := stream.read(PIECE_BYTES):
                yield [Piece(path.name, content, last=False)]
                content = following
            yield [Piece(path.name, content, last=True)]
