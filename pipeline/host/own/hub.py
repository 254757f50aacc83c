"""A model of the Hugging Face Hub by what its repository says: a few small files, and the heads of its weights."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from pipeline.entries import Model, WeightsSource
from pipeline.errors import BenchmarkError, UsageError
from pipeline.figures import one_line
from pipeline.host.own.describe import SMALL_FILES, TEMPLATE_FILE, WHOLE_TOKENIZER, Checkpoint, describe
from pipeline.host.own.reading import read_fields, read_tokenizer
from pipeline.host.own.shapes import Shape
from pipeline.plain import shown

PAGE = "https://huggingface.co/{}"
UNTOLD = "not stated"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def describe_repository(repo: str, revision: str | None, name: str) -> Model:
    """The entry of a repository at that branch, tag or commit (None: its main branch), pinned to the commit.

    Raises BenchmarkError where the Hub can't be reached or doesn't let it be read, with what to do, and UsageError
    where it is no model that can be run here.
    """
    import huggingface_hub
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    with _explained(repo):
        known = huggingface_hub.HfApi().model_info(repo, revision=revision)
        files = {entry.rfilename for entry in known.siblings or ()}
        commit, licence, gated = str(known.sha), getattr(known.card_data, "license", None), bool(known.gated)
        if not _COMMIT.fullmatch(commit):
            raise ValueError(f"{shown(commit)} is no commit")

    def fetched(file: str) -> Path | None:
        if file not in files:
            return None
        with _explained(repo):
            return Path(huggingface_hub.hf_hub_download(repo, file, revision=commit, local_dir=folder))

    with tempfile.TemporaryDirectory() as folder:
        small = {file: read_fields(path, repo) for file in SMALL_FILES if (path := fetched(file)) is not None}
        template = fetched(TEMPLATE_FILE)
        found = Checkpoint(
            where=repo,
            small=small,
            shapes=_shapes(repo, commit, files),
            template=template.read_text(encoding="utf-8") if template is not None else None,
            whole_tokenizer=lambda: read_tokenizer(path, repo) if (path := fetched(WHOLE_TOKENIZER)) else None,
        )
        source = WeightsSource("hub", repo=repo, revision=commit, gated=gated)
        return describe(found, name, f"{repo} of the Hugging Face Hub", _licence(licence), source)


def _licence(told: object) -> str:
    return one_line(told) if isinstance(told, str) and told else UNTOLD


def _shapes(repo: str, commit: str, files: set[str]) -> dict[str, Shape]:
    """Of all tensors, from the heads of its *.safetensors alone."""
    import huggingface_hub

    if not any(file.endswith(".safetensors") and "/" not in file for file in files):
        raise UsageError(f"{repo}: has no *.safetensors; name a repository with safetensors, or a .gguf file here")
    with _explained(repo):
        heads = huggingface_hub.HfApi().get_safetensors_metadata(repo, revision=commit)
        return {
            name: tuple(tensor.shape) for head in heads.files_metadata.values() for name, tensor in head.tensors.items()
        }


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into a BenchmarkError that says what to do before the command is run again."""
    from huggingface_hub import errors

    page = PAGE.format(repo)
    try:
        yield
    except errors.GatedRepoError as error:
        refused = error.response is not None and error.response.status_code == HTTPStatus.FORBIDDEN
        mend = "this account may not read it yet: wait until access is granted" if refused else LOG_IN
        raise BenchmarkError(f"--model {repo}: gated; ask for access at {page}, then {mend}") from error
    except errors.RevisionNotFoundError as error:
        raise BenchmarkError(f"--model {repo}: the Hub has no such revision; its page lists them: {page}") from error
    except errors.RepositoryNotFoundError as error:
        raise BenchmarkError(
            f"--model {repo}: not on the Hub, or private; check the name, or for one of your own {LOG_IN}"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise BenchmarkError(
            f"--model {repo}: the Hub answered {status} ({one_line(str(error))}); {NETWORK}"
        ) from error
    # nothing answers; or an answer of another shape, such as a proxy's page
    except (errors.HTTPError, OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        said = f"{type(error).__name__}: {one_line(str(error))}"
        raise BenchmarkError(f"--model {repo}: the Hub can't be asked for it ({said}); {NETWORK}") from error


LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
NETWORK = (
    "check the network, the proxy, HF_ENDPOINT and HF_HUB_OFFLINE; without the Hub name a folder that holds the model, "
    "or one of --list"
)
