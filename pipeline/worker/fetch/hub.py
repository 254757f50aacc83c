"""Weights from the Hugging Face Hub, at one commit. Pickles (*.bin, *.pt) are never fetched: they can run code."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BenchmarkError
from pipeline.files import read_json, write_json
from pipeline.locks import exclusive
from pipeline.spec import WeightsSource
from pipeline.worker.fetch.pypi import verify

REVISIONS_FILE = "models.lock.json"
PATTERNS = ["*.safetensors", "*.json", "tokenizer.model", "LICENSE*", "NOTICE*", "Notice*"]
_ADVICE = {
    401: ": log in with `hf auth login` or set HF_TOKEN to a valid token",
    403: ": accept the licence at the model's page, and use a token that may read gated repositories",
    429: ": too many requests; wait, or log in with `hf auth login`",
}


def fetch_hub(source: WeightsSource, target: Path, cache: Path) -> str:
    """Download a repository's safetensors, configuration and tokenizer, or the one file source.path, into target.

    Returns the commit: source.revision, or what <cache>/models.lock.json recorded when it was first resolved. The
    token is found as huggingface_hub does (HF_TOKEN, or the file that `hf auth login` writes).
    """
    import huggingface_hub

    repo = source.repo
    if repo is None:
        raise BenchmarkError("models.yaml: a hub source needs repo")
    with _explained(repo):
        revision = source.revision or _resolve(repo, cache)
        _check_files(repo, huggingface_hub.HfApi().list_repo_files(repo, revision=revision), source.path)
        huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            local_dir=target,
            allow_patterns=PATTERNS if source.path is None else [source.path],
            # Subfolders hold the same weights in other formats.
            ignore_patterns=["*/*"] if source.path is None else None,
        )
    shutil.rmtree(target / ".cache", ignore_errors=True)
    if source.path is not None and source.sha256 is not None:
        verify(target / source.path, source.sha256)
    return revision


def _resolve(repo: str, cache: Path) -> str:
    """The commit recorded for that repository; on the first call, the newest one, which is recorded."""
    import huggingface_hub

    path = cache / REVISIONS_FILE
    with exclusive(cache / f".{REVISIONS_FILE}.lock"):
        revisions: dict[str, str] = read_json(path) if path.exists() else {}
        if repo not in revisions:
            revisions[repo] = str(huggingface_hub.HfApi().model_info(repo).sha)
            write_json(path, dict(sorted(revisions.items())))
        return revisions[repo]


def _check_files(repo: str, files: list[str], wanted: str | None) -> None:
    if wanted is not None and wanted not in files:
        raise BenchmarkError(f"{repo}: there is no file {wanted}; it has {', '.join(sorted(files)[:20])}")
    if wanted is None and not any(name.endswith(".safetensors") and "/" not in name for name in files):
        raise BenchmarkError(
            f"{repo}: no *.safetensors in the repository, and pickled weights are not loaded because they can run "
            "code; name a repository with safetensors in models.yaml"
        )


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into a BenchmarkError with the mend."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/{repo}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise BenchmarkError(
            f"{repo} is gated: accept its licence at {page}, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
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
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError) as error:
        raise BenchmarkError(
            f"{repo}: the Hub can't be reached; check the network, the proxy, HF_ENDPOINT and HF_HUB_OFFLINE "
            f"({type(error).__name__}: {_first_line(error)})"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
