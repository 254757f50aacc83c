"""Secrets out of text before it is stored or shown: the Hub's token, whatever it was given as, and logins in URLs."""

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
HIDDEN = "<hidden>"
SHORTEST_TOKEN = 8
"""What is shorter is no token, and would stand in for parts of ordinary words."""

_TOKEN = re.compile(r"hf_(?:oauth_)?[A-Za-z0-9._-]{20,}")
_LOGIN = re.compile(r"(?<=://)[^\s/@'\"<>]+@")

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH|(?:API|ACCESS|PRIVATE)?_?KEY)S?(?:_|$)|^AWS_",
    re.IGNORECASE,
)


def redact(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text without what looks like a token of the Hub, this process's own token, and logins in URLs."""
    for token in _own_tokens(environment):
        text = text.replace(token, HIDDEN)
    if "hf_" in text:
        text = _TOKEN.sub(HIDDEN, text)
    return _LOGIN.sub(f"{HIDDEN}@", text) if "://" in text else text


def token_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where `hf auth login` leaves the token, whether or not one is there; as huggingface_hub finds it."""
    named = environment.get("HF_TOKEN_PATH")
    if named:
        return Path(named).expanduser()
    caches = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '')}/.cache"
    return Path(environment.get("HF_HOME") or f"{caches}/huggingface") / "token"


def find_token(environment: Mapping[str, str] = os.environ) -> str | None:
    """The Hub's token, from where huggingface_hub takes it: a variable, or the file that `hf auth login` writes."""
    found = [*(environment.get(name, "") for name in TOKEN_VARIABLES), _read_token(token_path(environment))]
    return next((token for token in map(str.strip, found) if token), None)


def is_secret(variable: str) -> bool:
    """Whether an environment variable of that name is likely to hold a secret, such as AWS_SECRET_ACCESS_KEY."""
    return _SECRET_NAME.search(variable) is not None


def _own_tokens(environment: Mapping[str, str]) -> list[str]:
    found = [environment.get(name, "") for name in TOKEN_VARIABLES]
    found.append(_stored_token(str(token_path(environment))))
    return [token for token in map(str.strip, found) if len(token) >= SHORTEST_TOKEN]


@lru_cache(maxsize=8)
def _stored_token(path: str) -> str:
    """Read once: a log's every line is held against it."""
    return _read_token(Path(path))


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
