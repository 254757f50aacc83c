"""A stand-in for the Hugging Face Hub on this machine: one dataset at one commit, and what was asked of it."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Hub:
    """What it has and how it behaves.

    files: by their names in the repository. refs: other names of the commit. branches: other revisions' files. cuts:
    after how many bytes of an answer the connection is lost, one number a download; stalls: whether it then stays
    silent instead. sha256: what it says of every file, None for the truth. asked: method, path and Range of every
    request for a file.
    """

    repo: str
    commit: str
    files: dict[str, bytes]
    refs: tuple[str, ...] = ()
    branches: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licence: Any = "mit"
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    sha256: str | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def at(self, revision: str) -> tuple[str, dict[str, bytes]]:
        """The commit that a revision is, and its files; none of a revision that isn't there."""
        if revision in ("", self.commit, *self.refs):
            return self.commit, self.files
        commits = {hashlib.sha1(name.encode()).hexdigest(): name for name in self.branches}
        name = commits.get(revision, revision)
        return hashlib.sha1(name.encode()).hexdigest(), self.branches.get(name, {})

    def ranges(self) -> list[str | None]:
        """The Range of each download."""
        return [given for method, _, given in self.asked if method == "GET"]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, answering at hub.url."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does, and 404 for all that isn't there."""

    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/api/"):
            self._describe(path)
            return
        self.hub.asked.append((self.command, path, self.headers["Range"]))
        revision, _, name = unquote(path.removeprefix(f"/datasets/{self.hub.repo}/resolve/")).partition("/")
        commit, files = self.hub.at(revision)
        if name in files:
            self._send(commit, files[name], body=body)
        else:
            self._refuse()

    def _send(self, commit: str, content: bytes, *, body: bool) -> None:
        begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if self.headers["Range"] else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{self.hub.sha256 or hashlib.sha256(content).hexdigest()}"')
        if self.headers["Range"]:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if not body:
            return
        if not self.hub.cuts:
            self.wfile.write(content[begin:])
            return
        self.wfile.write(content[begin : begin + self.hub.cuts.pop(0)])
        self.wfile.flush()
        if self.hub.stalls:
            time.sleep(30)
        self.close_connection = True

    def _describe(self, path: str) -> None:
        start = f"/api/datasets/{self.hub.repo}"
        revision = unquote(path.removeprefix(start).removeprefix("/revision/"))
        commit, files = self.hub.at(revision)
        if not path.startswith(start) or not files:
            self._refuse()
            return
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": "0" * 40,
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1},
            }
            for name, content in files.items()
        ]
        found = {"id": self.hub.repo, "sha": commit, "siblings": siblings, "tags": [], "private": False}
        answer = json.dumps(found | {"downloads": 0, "likes": 0, "cardData": {"license": self.hub.licence}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _refuse(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RevisionNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def start_preparing(folder: Path, dataset: str, fields: dict[str, str], **environment: str) -> subprocess.Popen[str]:
    """Prepare in a process of its own: the Hub library reads its settings from the environment once.

    It prints what is announced, then the dataset, or the error.
    """
    script = (
        "from contextlib import nullcontext\n"
        "from pathlib import Path\n"
        "from pipeline.errors import BenchmarkError\n"
        "from pipeline.host.dataset_options import FieldChoice\n"
        "from pipeline.host.datasets import prepare\n"
        "def announce(text): print(text, flush=True); return nullcontext()\n"
        f"folder, fields = Path({str(folder)!r}), FieldChoice(**{fields!r})\n"
        f"try: print(prepare({dataset!r}, folder, fields=fields, cache=folder / 'cache', announce=announce))\n"
        "except BenchmarkError as error: print('error:', error)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def prepare_elsewhere(folder: Path, dataset: str, fields: dict[str, str] | None = None, **environment: str) -> str:
    """What start_preparing's process printed, once it has ended."""
    process = start_preparing(folder, dataset, fields or {}, **environment)
    printed, faults = process.communicate(timeout=120)
    assert process.returncode == 0, faults
    return printed
