"""Gated models: the token is found, asked with, and never shown or handed on."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.host.doctor.hub import Repository, ask, hub_checks
from pipeline.redact import find_token
from pipeline.spec import Check

TOKEN = "hf_secretsecretsecret"
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME")


class Hub(BaseHTTPRequestHandler):
    """Answers with the status that the repository is named after; what was asked is kept."""

    asked: list[tuple[str, str, str | None]]

    def do_HEAD(self) -> None:
        type(self).asked.append((self.command, self.path, self.headers["Authorization"]))
        status = int(self.path.split("/")[2])
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere/500/resolve/main/config.json")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_token_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    handler = type("Handler", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield handler
    server.shutdown()
    server.server_close()


def checked(repo: str, timeout_s: float = 5.0) -> Check:
    [found] = hub_checks(ask([Repository(repo, "abc", ("none",))], timeout_s))
    assert TOKEN not in f"{found}"
    return found


def test_without_a_token_nothing_is_asked_and_the_experiments_stop(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    found = checked("owner/200")
    assert (found.status, found.stops, hub.asked) == ("fail", ("none",), [])
    assert found.mend is not None and "hf auth login" in found.mend


@pytest.mark.parametrize("status", [200, 302])
def test_a_token_that_opens_the_repository_passes(hub: type[Hub], status: int) -> None:
    assert checked(f"owner/{status}").status == "pass"
    assert hub.asked == [("HEAD", f"/owner/{status}/resolve/abc/config.json", f"Bearer {TOKEN}")]


@pytest.mark.parametrize(("status", "reason"), [(401, "the token is not valid"), (403, "has no access")])
def test_a_token_that_does_not_open_it_fails_with_the_reason(hub: type[Hub], status: int, reason: str) -> None:
    found = checked(f"owner/{status}")
    assert (found.status, found.stops) == ("fail", ("none",))
    assert reason in found.message


@pytest.mark.parametrize("status", [404, 429, 503])
def test_any_other_answer_tells_nothing(hub: type[Hub], status: int) -> None:
    found = checked(f"owner/{status}")
    assert found.status == "warn"
    assert f"can't be told: the Hub answers {status}" in found.message


def test_no_network_tells_nothing(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert checked("owner/200").status == "warn"


def test_a_hub_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = ThreadingHTTPServer(("127.0.0.1", 0), Hub)  # it takes connections and never answers
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.server_port}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert checked("owner/200", timeout_s=0.3).status == "warn"
    silent.server_close()


def test_a_token_that_is_no_header_is_not_shown(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f"a\n{TOKEN}")
    assert checked("owner/200").status == "warn"


def test_the_token_is_found_where_huggingface_hub_finds_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert find_token(home) is None
    for folder, environment in (
        (tmp_path / ".cache" / "huggingface", home),
        (tmp_path / "xdg" / "huggingface", home | {"XDG_CACHE_HOME": str(tmp_path / "xdg")}),
        (tmp_path / "hf", home | {"HF_HOME": str(tmp_path / "hf")}),
    ):
        folder.mkdir(parents=True)
        (folder / "token").write_text(f"{folder.name}\n")
        assert find_token(environment) == folder.name
    assert find_token(home | {"HF_TOKEN_PATH": str(tmp_path / "hf" / "token")}) == "hf"
    assert find_token(home | {"HF_TOKEN": "given"}) == "given"
