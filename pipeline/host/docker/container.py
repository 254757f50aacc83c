"""What a job's container is given, in plain values; engine.py turns it into the SDK's."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.machine import memory_bytes
from pipeline.redact import find_token

GIB = 1024**3
MEMORY_LEFT_TO_THE_HOST = 0.05

COMPILE_CACHE = "/compile"
_CA = "/run/secrets/ca"
_TOKEN = "/run/secrets/hf-token"

_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_NETWORK_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("HF_ENDPOINT", "PIP_INDEX_URL"),
)
"""Where the network is reached, as this process was told; given to what fetches, and to nothing else."""


@dataclass(frozen=True)
class Bind:
    """A folder or file of this machine in the container."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """All that a container gets; what is not here it has not.

    user: "uid:gid". gpus: UUIDs of the GPUs that it sees, empty for all, None for none. cores: that it
    runs on; empty for all. memory_bytes: more and the
    kernel ends it; None sets no limit. pids: the most processes and threads. tmp_bytes: the size of its /tmp, the only
    place outside the mounts that can be written to. log_bytes: the most that the engine keeps of its output.
    """

    image: str
    arguments: Sequence[str]
    binds: Sequence[Bind]
    user: str
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: Sequence[str] | None = None
    cores: Sequence[int] = ()
    network: bool = False
    memory_bytes: int | None = None
    pids: int = 16384
    shm_bytes: int = 8 * GIB
    tmp_bytes: int = 8 * GIB
    log_bytes: int = 64 * 1024**2


def memory_limit() -> int | None:
    """All of the machine's memory but a little, so that a job that outgrows it is ended instead of the machine."""
    total = memory_bytes()
    return None if total is None else int(total * (1 - MEMORY_LEFT_TO_THE_HOST))


def caller(rootless: bool) -> str:
    """The user that owns what a container writes; under a rootless engine the container's root is that user."""
    return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"


@contextmanager
def network_access(ca: Path | None) -> Iterator[tuple[list[Bind], dict[str, str]]]:
    """Mounts and variables of a container that fetches: the CA bundle, the Hub's token, where proxies and mirrors are.

    The token goes in as a file, since variables show in `docker inspect`.
    """
    binds: list[Bind] = []
    environment = {name: os.environ[name] for name in _NETWORK_VARIABLES if name in os.environ}
    if ca is not None:
        binds.append(Bind(ca.resolve(), _CA))
        environment |= dict.fromkeys(_CA_VARIABLES, _CA)
    with tempfile.TemporaryDirectory() as folder:
        token = _token_file(Path(folder))
        if token is not None:
            binds.append(Bind(token, _TOKEN))
            environment["HF_TOKEN_PATH"] = _TOKEN
        yield binds, environment


def _token_file(folder: Path) -> Path | None:
    """The Hub's token as a file of its own, readable by this user alone."""
    token = find_token()
    if token is None:
        return None
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(token, encoding="utf-8")
    return path
