"""Files of a dataset on the Hugging Face Hub, fetched once: a broken download goes on where it ended, and each is
held against its sha256."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipeline.datasets import HubParquet
from pipeline.errors import BenchmarkError
from pipeline.files import sha256_file, write_atomically
from pipeline.locks import exclusive

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Fetched(NamedTuple):
    """A file that is there whole, and its sha256."""

    path: Path
    sha256: str


def download(hub: HubParquet, cache: Path) -> list[Fetched]:
    """Fetch the files into the cache, or find them there, in which case no network is needed.

    A BenchmarkError says what to do when the Hub can't be reached, refuses, or sends another file than was recorded.
    """
    folder = cache / hub.repo.replace("/", "--") / hub.revision.replace("/", "--")
    recorded = hub.files_sha256 or (None,) * len(hub.files)
    return [_fetch(hub, file, folder / file, sha256) for file, sha256 in zip(hub.files, recorded, strict=True)]


def listed_bytes(hub: HubParquet) -> int | None:
    """What the Hub says is the size of the files together; None where it can't be asked."""
    import huggingface_hub

    try:
        with reaching(hub.repo, hub.revision):
            sizes = [huggingface_hub.get_hf_file_metadata(_url(hub, file)).size for file in hub.files]
    except BenchmarkError:
        return None
    return None if None in sizes else sum(size or 0 for size in sizes)


def _fetch(hub: HubParquet, file: str, target: Path, recorded: str | None) -> Fetched:
    """recorded: the file's sha256 in the catalogue or the Hub's listing; else the one sent with it counts."""
    import huggingface_hub
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    part, noted = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.sha256")
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.with_name(f".{target.name}.lock")):
        if target.exists() and noted.exists():
            sha256 = sha256_file(target)
            if sha256 == noted.read_text(encoding="utf-8") == (recorded or sha256):
                return Fetched(target, sha256)
        with reaching(hub.repo, hub.revision):
            listed = huggingface_hub.get_hf_file_metadata(_url(hub, file))
            with part.open("ab") as stream:
                there = stream.seek(0, 2)
                if listed.size is not None and there > listed.size:  # of another file
                    there = stream.truncate(0)
                http_get(
                    _url(hub, file),
                    stream,
                    resume_size=there,
                    headers=build_hf_headers(),
                    expected_size=listed.size,
                    displayed_filename=file,
                )
        sha256 = sha256_file(part)
        expected = recorded or (listed.etag if _SHA256.fullmatch(listed.etag or "") else sha256)
        if sha256 != expected:
            part.unlink()
            raise BenchmarkError(
                f"{hub.repo} at {hub.revision}: {file}: what was fetched has sha256 {sha256}, not {expected}; it was "
                "deleted. Run --prepare again; if it stays so, a proxy or the mirror in HF_ENDPOINT sends another"
            )
        part.replace(target)
        write_atomically(noted, sha256)
        return Fetched(target, sha256)


def _url(hub: HubParquet, file: str) -> str:
    import huggingface_hub

    url: str = huggingface_hub.hf_hub_url(hub.repo, file, repo_type="dataset", revision=hub.revision)
    return url


@contextmanager
def reaching(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what the Hub's library raises into a BenchmarkError with the mend."""
    from huggingface_hub import errors

    try:
        yield
    # offline mode, the Hub's refusals and a full disk are OSErrors; an answer of another shape ends in the last ones
    except (OSError, errors.HTTPError, AttributeError, KeyError, TypeError, ValueError) as error:
        cause = f"{error} ({error.__cause__})" if error.__cause__ else f"{error}"
        at = f" at {revision}" if revision is not None else ""
        raise BenchmarkError(
            f"{repo}{at} could not be fetched from the Hugging Face Hub: {cause}; what has come is kept, and the same "
            "command goes on from there. Check the name, the network and the proxy settings, log in with `hf auth "
            "login` where it is gated, name a mirror in HF_ENDPOINT, or do without: --dataset sample or --dataset FILE"
        ) from error
