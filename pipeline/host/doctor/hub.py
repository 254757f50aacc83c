"""Models that have to be fetched from the Hugging Face Hub and are gated: is there a token, and does it open them?"""

import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.redact import find_token
from pipeline.spec import Check

DEFAULT_ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 5.0
PROBE = "config.json"
"""The file that is asked for, without its content: every repository of weights has it."""

REFUSED = (401, 403)


@dataclass(frozen=True)
class Repository:
    """A gated repository that has to be fetched. revision: None for the newest. experiments: that need it."""

    name: str
    revision: str | None = None
    experiments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gated:
    """What the Hub says of a repository. token: whether one was found. status: of the answer, or in fault why none."""

    repository: Repository
    token: bool
    status: int | None = None
    fault: str | None = None


def ask(repositories: Sequence[Repository], timeout_s: float = TIMEOUT_S) -> list[Gated]:
    """Ask the Hub for each, all at once; without a token there is nothing to ask."""
    token = find_token()
    if token is None:
        return [Gated(repository, token=False) for repository in repositories]
    answers: dict[str, tuple[int | None, str | None]] = {}

    def ask_one(repository: Repository) -> None:
        answers[repository.name] = _answer(repository, token, timeout_s)

    # Looking up a host's name knows no time limit; what does not come back in time is left to itself.
    threads = [threading.Thread(target=ask_one, args=[repository], daemon=True) for repository in repositories]
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silence = (None, f"no answer in {timeout_s:g} s")
    return [Gated(repository, True, *answers.get(repository.name, silence)) for repository in repositories]


def how_to_get(repositories: Sequence[Repository]) -> list[str]:
    """A line for each: where access is asked for, and what to do then."""
    return [
        f"{repository.name} is gated: {ask_for_access(repository.name)} (for {', '.join(repository.experiments)})"
        for repository in repositories
    ]


def ask_for_access(name: str) -> str:
    """What whoever has no token does about a gated repository."""
    return f"ask for access at {DEFAULT_ENDPOINT}/{name}, then run `hf auth login` or set HF_TOKEN"


def hub_checks(found: Sequence[Gated]) -> list[Check]:
    """A line for each gated repository; nothing where none has to be fetched."""
    return [_check(item) for item in found]


def _check(item: Gated) -> Check:
    name, stops = item.repository.name, item.repository.experiments
    page = f"{DEFAULT_ENDPOINT}/{name}"
    if not item.token:
        message = "gated, not in the cache, and there is no token"
        return Check("hub", name, "fail", message, ask_for_access(name), stops)
    if item.status in REFUSED:
        reason = "the token is not valid" if item.status == 401 else "the token's account has no access"
        mend = f"ask for access at {page}, with a token that may read gated repositories"
        message = f"gated, not in the cache, and {reason} (status {item.status})"
        return Check("hub", name, "fail", message, mend, stops)
    if item.status is not None and item.status < 400:
        return Check("hub", name, "pass", "gated; the token opens it")
    answer = f"the Hub answers {item.status}" if item.status is not None else item.fault
    mend = "check the network, the proxy and HF_ENDPOINT; --prepare fetches it"
    return Check("hub", name, "warn", f"gated; whether the token opens it can't be told: {answer}", mend)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection means access, and following it would hand the token to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(repository: Repository, token: str, timeout_s: float) -> tuple[int | None, str | None]:
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    url = f"{endpoint}/{repository.name}/resolve/{repository.revision or 'main'}/{PROBE}"
    try:
        request = urllib.request.Request(url, method="HEAD")
        request.add_unredirected_header("Authorization", f"Bearer {token}")
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s) as response:
            return response.status, None
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError as error:
        return None, str(getattr(error, "reason", error))
    except ValueError as error:  # an endpoint that is no URL, or a token that is no header; the text may hold it
        return None, f"HF_ENDPOINT or the token can't be used ({type(error).__name__})"
