"""--model with a repository of the Hub, which a server here stands in for: what is asked of it, and what it refuses."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.worker.synthetic import checkpoint, llama
from tests.conftest import REPOSITORY

COMMIT, OF_BRANCH = "0123456789abcdef0123456789abcdef01234567", "f" * 40
TEMPLATE = "{{ bos_token }}[INST] {{ messages[0].content }} [/INST]"

ADOPT = """
import json, sys
from pathlib import Path
from pipeline.catalog import load_catalog
from pipeline.codec import encode
from pipeline.errors import BenchmarkError
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.own.adopt import adopt
known, found = load_catalog(), {}
for words in json.loads(sys.argv[1]):
    named = [word for model in words.split() for word in ("--model", model)]
    folders = ["--cache", sys.argv[2]]
    try:
        arguments, catalog = adopt(parse(["--prepare", "--all", *named, *folders], known, LAUNCHERS), known)
        found[words] = [encode(catalog.models[name]) for name in arguments.models]
    except BenchmarkError as error:
        found[words] = str(error)
print(json.dumps(found))
"""


class Hub(BaseHTTPRequestHandler):
    """The endpoints that describing a model uses. sent: the bytes of each file that went out."""

    files: ClassVar[dict[str, bytes]]
    sent: ClassVar[dict[str, int]] = {}

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, _ = self.path.partition("?")
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        repo, rest = ("/".join(parts[2:4]), parts[4:]) if api else ("/".join(parts[:2]), parts[2:])
        files = self.files if repo != "org/pickles" else {"config.json": self.files["config.json"], "a.bin": b""}
        if repo in ("org/absent", "org/stray"):
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif repo == "org/broken":
            self.answer(500, b"")
        elif api and rest[:1] == ["revision"] and rest[1] == "gone":
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif api:
            told = {"id": repo, "sha": OF_BRANCH if rest[:2] == ["revision", "dev"] else COMMIT}
            told |= {"siblings": [{"rfilename": name} for name in files], "cardData": {"license": "apache-2.0"}}
            told |= {"gated": "manual" if repo in ("org/gated", "org/refused", "org/granted") else False}
            self.answer(200, json.dumps(told).encode())
        elif repo in ("org/gated", "org/refused"):
            self.answer(401 if repo == "org/gated" else 403, b"", {"X-Error-Code": "GatedRepo"})
        else:
            self.file("/".join(rest[2:]), rest[1], files)

    def file(self, name: str, commit: str, files: dict[str, bytes]) -> None:
        """Whole, or the range that was asked for."""
        headers = {"ETag": f'"{name.encode().hex()}"', "X-Repo-Commit": commit}
        if name not in files:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif asked := self.headers.get("Range"):
            first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
            body = files[name][first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(files[name])}"
            self.answer(206, body, headers)
        else:
            self.answer(200, files[name], headers)
        if self.command == "GET":
            self.sent[name] = self.sent.get(name, 0) + 1

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = checkpoint.write(tmp_path_factory.mktemp("model"))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "chat_template": TEMPLATE}))
    Hub.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(endpoint: str, folder: Path, *commands: str, **more: str) -> Any:
    """What comes of --model with each of these, in one process (huggingface_hub reads HF_ENDPOINT when imported)."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0"}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONPATH": str(REPOSITORY), **more}
    command = [sys.executable, "-c", ADOPT, json.dumps(commands), str(folder / "cache")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


GATED = "org/gated meta/alone org/refused"


@pytest.fixture(scope="module")
def told(hub: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    commands = ("org/chat", "org/chat@dev", "org/granted", "org/absent", "org/pickles", "org/broken", "org/chat@gone")
    return asked(hub, tmp_path_factory.mktemp("asked"), *commands, GATED)


def test_a_repository_becomes_an_entry_pinned_to_its_commit(told: Any) -> None:
    [model] = told["org/chat"]
    assert (model["name"], model["licence"], model["parameters"]) == ("org--chat", "apache-2.0", llama.PARAMETERS)
    source = model["weights"]["hf"]
    assert (source["repo"], source["revision"], source["gated"]) == ("org/chat", COMMIT, False)


def test_its_chat_template_stands_around_the_prompt_and_bos_first(told: Any) -> None:
    [model] = told["org/chat"]
    assert (model["prompt_prefix"], model["prompt_suffix"]) == ("[INST] ", " [/INST]")
    assert (model["prompt"], model["bos_id"]) == ("published-hf", llama.BOS_ID)


def test_another_revision_is_another_model(told: Any) -> None:
    [model] = told["org/chat@dev"]
    assert (model["name"], model["weights"]["hf"]["revision"]) == ("org--chat--dev", OF_BRANCH)


def test_a_gated_repository_that_the_token_opens_is_known_as_gated(told: Any) -> None:
    [model] = told["org/granted"]
    assert model["weights"]["hf"]["gated"] is True


def test_of_the_weights_nothing_but_their_head_is_fetched(told: Any) -> None:
    assert Hub.sent["config.json"] > 0 and "tokenizer.json" not in Hub.sent
    assert len(Hub.files["model.safetensors"]) > 1_000_000  # more than what huggingface_hub asks for to find the head


def test_every_gated_model_of_a_command_is_told_with_its_page_and_what_to_do(told: Any) -> None:
    assert "gated; ask for access at https://huggingface.co/org/gated, then log in with `hf auth login`" in told[GATED]
    assert "HF_TOKEN" in told[GATED]
    assert "https://huggingface.co/org/refused, then this account may not read it yet" in told[GATED]
    assert "meta/alone" not in told[GATED]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("org/absent", "--model org/absent: not on the Hub, or private; check the name"),
        ("org/pickles", "org/pickles: has no *.safetensors; name a repository with safetensors"),
        ("org/broken", "--model org/broken: the Hub answered 500"),
        ("org/chat@gone", "--model org/chat: the Hub has no such revision"),
    ],
)
def test_what_can_not_be_had_is_an_error_with_its_mend(told: Any, given: str, said: str) -> None:
    assert said in told[given]


def test_a_repository_that_is_recorded_is_not_asked_for_again(hub: str, tmp_path: Path) -> None:
    first = asked(hub, tmp_path, "org/chat")
    assert asked("http://127.0.0.1:9", tmp_path, "org/chat") == first


@pytest.mark.parametrize("more", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["no answer", "offline"])
def test_without_the_hub_the_error_says_what_else_there_is(tmp_path: Path, more: dict[str, str]) -> None:
    said = asked("http://127.0.0.1:9", tmp_path, "org/chat", **more)["org/chat"]
    assert said.startswith("--model org/chat: the Hub can't be asked for it (")
    assert "HF_HUB_OFFLINE; without the Hub name a folder that holds the model, or one of --list" in said
