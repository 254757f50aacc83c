"""Failures of preparing and of loading weights, provoked on the real part, and the class that each ends in.

pip and the Hub's library are pointed at servers on this machine; engines are given damaged folders.
"""

import http.server
import os
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.host import prepare
from pipeline.results import Failure
from tests.conftest import REPOSITORY
from tests.faults.provoking import changed, command, failure_of_weights, prepare_and_run, write_wheel
from tests.faults.register import provokes

MIB = 1024**2
MODEL = Path("models") / "gemma-3-270m"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A cache with environments and no weights, for pip and the Hub's library to fill by their own defaults alone."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "envs").symlink_to(cache / "envs")
    for name in list(os.environ):
        if re.match(r"(?:PIP|HF|HUGGINGFACE)_|(?:https?|all)_proxy$", name, re.IGNORECASE):
            monkeypatch.delenv(name)
    variables = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "*"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(prepare, "RETRY_PAUSE_S", 0.0)
    return monkeypatch


@provokes("index_unreachable")
def test_an_index_that_does_not_answer(fetching: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetching.setenv("PIP_INDEX_URL", f"{NOWHERE}/simple")
    assert prepare_and_run(command("gguf-q4", tmp_path)).class_ == "index_unreachable"


@provokes("package_not_found")
def test_an_index_that_lacks_a_package(fetching: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    fetching.setenv("PIP_NO_INDEX", "1")
    fetching.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert prepare_and_run(command("gguf-q4", tmp_path)).class_ == "package_not_found"


@provokes("certificate")
def test_an_index_whose_certificate_nobody_vouches_for(fetching: pytest.MonkeyPatch, tmp_path: Path) -> None:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with _serving(_answering(404), context) as port:
        fetching.setenv("PIP_INDEX_URL", f"https://localhost:{port}/simple")
        assert prepare_and_run(command("gguf-q4", tmp_path)).class_ == "certificate"


@provokes("hash_mismatch")
def test_packages_that_are_not_those_of_the_lock(fetching: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files of the locked names and versions, of which the index serves others."""
    (tmp_path / "cache" / "envs").unlink()
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = (REPOSITORY / "images" / "reference" / "cpu.lock").read_text(encoding="utf-8")
    for name, version in re.findall(r"(?m)^([\w.-]+)==([\w.+]+)", lock):
        write_wheel(wheels, name.replace("-", "_"), version)
    fetching.setenv("PIP_NO_INDEX", "1")
    fetching.setenv("PIP_FIND_LINKS", str(wheels))
    assert prepare_and_run(command("lead-3", tmp_path)).class_ == "hash_mismatch"


HUB = {
    "hub_no_token": (401, {"X-Error-Code": "GatedRepo"}),
    "hub_not_granted": (403, {"X-Error-Code": "GatedRepo"}),
    "hub_not_found": (404, {"X-Error-Code": "RepoNotFound"}),
    "hub_rate_limited": (429, {}),
}
"""By class: what a Hub on this machine answers to everything."""


@pytest.mark.parametrize("wanted", HUB)
@provokes(*HUB)
def test_a_hub_that_refuses(wanted: str, fetching: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with _serving(_answering(*HUB[wanted])) as port:
        fetching.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        assert prepare_and_run(command("vllm-awq", tmp_path, "--model", "llama-2-7b-chat")).class_ == wanted


@provokes("hub_unreachable")
def test_a_hub_that_does_not_answer(fetching: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetching.setenv("HF_ENDPOINT", NOWHERE)
    assert prepare_and_run(command("vllm-awq", tmp_path, "--model", "llama-2-7b-chat")).class_ == "hub_unreachable"


def _answering(status: int, headers: Mapping[str, str] | None = None) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@provokes("gguf_unreadable")
def test_weights_that_are_no_gguf(cache: Path, tmp_path: Path) -> None:
    files = {"model.gguf": bytes(100_000)}
    assert failure_of_weights("gguf-q4", "gguf", files, tmp_path, cache).class_ == "gguf_unreadable"


@provokes("weights_truncated")
def test_weights_that_are_cut_short(cache: Path, tmp_path: Path) -> None:
    [whole] = (cache / MODEL / "gguf").glob("*.gguf")
    with whole.open("rb") as stream:
        files = {"model.gguf": stream.read(20 * MIB)}
    assert failure_of_weights("gguf-q4", "gguf", files, tmp_path, cache).class_ == "weights_truncated"


@provokes("weights_missing")
def test_weights_that_are_not_there(cache: Path, tmp_path: Path) -> None:
    assert failure_of_weights("gguf-q4", "gguf", {}, tmp_path, cache).class_ == "weights_missing"


@provokes("pickle_blocked")
def test_weights_that_are_a_pickle(cache: Path, tmp_path: Path) -> None:
    files = {"pytorch_model.bin": b"", "config.json": (cache / MODEL / "hf" / "config.json").read_bytes()}
    assert failure_of_weights("none", "hf", files, tmp_path, cache).class_ == "pickle_blocked"


FOLDERS: dict[str, Callable[[Path], dict[str, bytes]]] = {
    "config_missing": lambda model: {"config.json": b""},
    "transformers_too_old": lambda model: {"config.json": changed(model / "config.json", model_type="newest")},
    "remote_code_required": lambda model: {
        "config.json": changed(
            model / "config.json",
            model_type="own",
            auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
        )
    },
    "tokenizer_broken": lambda model: {"tokenizer.json": changed(model / "tokenizer.json", model={"type": "newest"})},
}
"""By class: files of a model's folder that are put in place of its own, given the folder."""


@pytest.fixture(scope="module")
def folders(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Failure]]]:
    """How transformers fails over each of FOLDERS, two at a time: it takes seconds to be imported."""
    model = cache / MODEL / "hf"
    # the weights are opened after all that is damaged here
    whole = {path.name: path.read_bytes() for path in model.glob("*.json")} | {"model.safetensors": b""}
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(
                failure_of_weights, "none", "hf", whole | files(model), tmp_path_factory.mktemp(name), cache
            )
            for name, files in FOLDERS.items()
        }


@pytest.mark.parametrize("wanted", FOLDERS)
@provokes(*FOLDERS)
def test_a_models_folder_that_transformers_can_not_open(wanted: str, folders: dict[str, Future[Failure]]) -> None:
    assert folders[wanted].result().class_ == wanted


@provokes("prompt_too_long")
def test_a_prompt_that_is_longer_than_the_models_context(cache: Path, tmp_path: Path) -> None:
    """As vLLM has it, before it starts an engine."""
    model = cache / MODEL / "hf"
    files = {path.name: path.read_bytes() for path in model.glob("*.json")}
    files |= {"model.safetensors": b"", "config.json": changed(model / "config.json", max_position_embeddings=64)}
    assert failure_of_weights("vllm", "hf", files, tmp_path, cache).class_ == "prompt_too_long"
