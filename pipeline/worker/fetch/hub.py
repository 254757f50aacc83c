"""Weights from the Hugging Face Hub, at one commit. Pickles are fetched only where that is allowed."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from pipeline import codec
from pipeline.entries import WeightsSource
from pipeline.errors import BenchmarkError
from pipeline.files import read_json, write_json
from pipeline.locks import exclusive
from pipeline.pickles import SAFE, pickles_alone, require_safe
from pipeline.plain import shown
from pipeline.worker.fetch.pypi import verify

REVISIONS_FILE = "models.lock.json"
PATTERNS = ["*.safetensors", "*.json", "tokenizer.model", "merges.txt", "LICENSE*", "NOTICE*", "Notice*"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ODD_ANSWER = "check HF_ENDPOINT and the proxy, which may have answered in its place"
_ADVICE = {
    401: ": log in with `hf auth login` or set HF_TOKEN to a valid token",
    403: ": accept the licence at the model's page, and use a token that may read gated repositories",
    429: ": too many requests; wait, or log in with `hf auth login`",
}


def fetch_hub(source: WeightsSource, target: Path, cache: Path, allow_pickle: bool = False) -> str:
    """Download a repository's safetensors, configuration and tokenizer, or the one file source.path, into target.

    Returns the commit: source.revision where that is one, else what <cache>/models.lock.json recorded when the branch,
    or no revision at all, was first resolved. The token is found as huggingface_hub does (HF_TOKEN, or the file that
    `hf auth login` writes). allow_pickle: take pickles where a repository has no safetensors.
    """
    import huggingface_hub

    repo = source.repo
    if repo is None:
        raise BenchmarkError("models.yaml: a hub source needs repo")
    with _explained(repo):
        named = source.revision or ""
        revision = named if _COMMIT.fullmatch(named) else _resolve(repo, named or None, cache)
        files = huggingface_hub.HfApi().list_repo_files(repo, revision=revision)
        pickled = _check_files(repo, files, source.path, allow_pickle)
        huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            local_dir=target,
            allow_patterns=[*PATTERNS, *pickled] if source.path is None else [source.path],
            # Subfolders hold the same weights in other formats.
            ignore_patterns=["*/*"] if source.path is None else None,
        )
    shutil.rmtree(target / ".cache", ignore_errors=True)
    if source.path is not None and source.sha256 is not None:
        verify(target / source.path, source.sha256)
    return revision


def _resolve(repo: str, branch: str | None, cache: Path) -> str:
    """The commit recorded for that repository's branch or tag (None: its main one); on the first call, the newest one.

    That is recorded, so that a branch which moves changes nothing here.
    """
    import huggingface_hub

    path = cache / REVISIONS_FILE
    name = repo if branch is None else f"{repo}@{branch}"
    with exclusive(cache / f".{REVISIONS_FILE}.lock"):
        known = read_json(path) if path.exists() else {}
        revisions = codec.decode(dict[str, str], known, str(path))
        if name not in revisions:
            newest = str(huggingface_hub.HfApi().model_info(repo, revision=branch).sha)
            if not _COMMIT.fullmatch(newest):
                raise BenchmarkError(f"{repo}: the Hub answered with {shown(newest)} for its commit; {_ODD_ANSWER}")
            revisions[name] = newest
            write_json(path, dict(sorted(revisions.items())))
        if not _COMMIT.fullmatch(revisions[name]):
            raise BenchmarkError(
                f"{path}: {name}: {shown(revisions[name])} is no commit; delete the file, and it is resolved again"
            )
        return revisions[name]


def _check_files(repo: str, files: list[str], wanted: str | None, allow_pickle: bool) -> list[str]:
    """Raise BenchmarkError where what is wanted isn't there; the pickles to fetch for want of anything else."""
    if wanted is not None and wanted not in files:
        raise BenchmarkError(f"{repo}: there is no file {wanted}; it has {', '.join(sorted(files)[:20])}")
    top = [wanted] if wanted is not None else [name for name in files if "/" not in name]
    pickled = pickles_alone(top)
    require_safe(pickled, allow_pickle, repo)
    if wanted is None and not pickled and not any(name.endswith(SAFE) for name in top):
        raise BenchmarkError(f"{repo}: no *{SAFE} in the repository; name one with safetensors in models.yaml")
    return pickled


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into a BenchmarkError with the mend."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/{repo}"
    try:
        yield
    except errors.GatedRepoError as error:
        mend = f"accept its licence at {page}, then log in with `hf auth login` or set HF_TOKEN"
        if error.response is not None and error.response.status_code == HTTPStatus.FORBIDDEN:
            mend = f"this account may not read it yet; ask for access at {page} and wait until it is granted"
        raise BenchmarkError(f"{repo} is gated: {mend}") from error
    except errors.RevisionNotFoundError as error:
        raise BenchmarkError(f"{repo}: the Hub has no such revision; correct it in models.yaml") from error
    except errors.RepositoryNotFoundError as error:
        raise BenchmarkError(
            f"{repo}: not found on the Hub, or private; check the name, or log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise BenchmarkError(
            f"{repo}: the Hub answered {status}{_ADVICE.get(status, '')} ({_first_line(error)})"
        ) from error
    # what its library makes of an answer of another shape, such as a proxy's page
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BenchmarkError(
            f"{repo}: the Hub's answer can't be read ({type(error).__name__}: {_first_line(error)}); {_ODD_ANSWER}"
        ) from error
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError) as error:
        raise BenchmarkError(
            f"{repo}: the Hub can't be reached; check the network, the proxy, HF_ENDPOINT and HF_HUB_OFFLINE "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
