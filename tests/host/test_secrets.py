"""Secrets of the caller's stay with the caller: not in jobs, logs, results or messages."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.host.environments import process_environment
from pipeline.redact import HIDDEN, is_secret, redact, token_path
from pipeline.results import Failure, read_result, to_json, write_result
from tests.builders import make_result

TOKEN = "hf_" + "Ab1" * 12
OTHER = "a-token-of-another-shape"

SECRETS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_SESSION_TOKEN": "x",
    "AZURE_CLIENT_SECRET": "x",
    "GITHUB_TOKEN": "x",
    "OPENAI_API_KEY": "x",
    "VLLM_API_KEY": "x",
    "WANDB_API_KEY": "x",
    "PGPASSWORD": "x",
    "MYSQL_PASSWORD": "x",
    "GPG_PASSPHRASE": "x",
    "GOOGLE_APPLICATION_CREDENTIALS": "x",
    "SSH_AUTH_SOCK": "x",
    "SSH_AGENT_PID": "x",
    "DOCKER_HOST": "x",
    "DOCKER_AUTH_CONFIG": "x",
    "KUBECONFIG": "x",
    "HF_TOKEN": TOKEN,
    "HUGGING_FACE_HUB_TOKEN": TOKEN,
    "HF_TOKEN_PATH": "x",
    "PIP_INDEX_URL": "https://user:password@example.org",
    "HTTPS_PROXY": "http://user:password@example.org",
    "DATABASE_URL": "x",
    "PYTHONPATH": "x",
    "PYTHONHOME": "x",
    "BASH_ENV": "x",
}
WANTED = {
    "HOME": "/home/somebody",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/usr/lib64-nvidia",
    "CUDA_VISIBLE_DEVICES": "1",
    "OMP_NUM_THREADS": "4",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "NCCL_DEBUG": "INFO",
}


def variables(monkeypatch: pytest.MonkeyPatch, cache: Path, *, network: bool = False) -> Mapping[str, str]:
    for name, value in (SECRETS | WANTED).items():
        monkeypatch.setenv(name, value)
    image = load_catalog().images["vllm"]
    return process_environment(cache, image, image.variants[0], network=network)


def test_a_job_in_an_environment_gets_none_of_the_callers_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = variables(monkeypatch, tmp_path)
    assert {name for name in SECRETS if given.get(name) == SECRETS[name]} == set()


def test_a_job_in_an_environment_gets_what_engines_and_drivers_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = variables(monkeypatch, tmp_path)
    assert WANTED.items() <= given.items()


def test_what_fetches_gets_the_token_and_the_way_to_the_network_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = variables(monkeypatch, tmp_path, network=True)
    passed = {name for name in SECRETS if given.get(name) == SECRETS[name]}
    assert passed == {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "PIP_INDEX_URL", "HTTPS_PROXY"}


def test_modules_in_the_folder_that_a_job_starts_in_are_not_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "yaml.py").write_text("print('planted')")
    environment = variables(monkeypatch, tmp_path)
    command = [sys.executable, "-m", "pipeline", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "planted" not in done.stdout
    assert "--self-check" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        f"401 for url https://huggingface.co/x?token={TOKEN} (request id 1)",
        f"Authorization: Bearer {TOKEN}",
        f"'{TOKEN}'",
        f"HF_TOKEN={TOKEN}\n",
        f"https://user:{TOKEN}@huggingface.co/org/model",
    ],
)
def test_what_looks_like_a_token_of_the_hub_is_hidden(text: str) -> None:
    shown = redact(text, {})
    assert TOKEN not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    ("variable", "value"), [("HF_TOKEN", OTHER), ("HUGGING_FACE_HUB_TOKEN", OTHER), ("HF_TOKEN_PATH", "{file}")]
)
def test_the_callers_own_token_is_hidden_whatever_its_shape(variable: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{OTHER}\n")
    shown = redact(f"refused {OTHER}!", {variable: value.format(file=tmp_path / "token")})
    assert shown == f"refused {HIDDEN}!"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HF_TOKEN_PATH": "/t"}, "/t"),
        ({"HF_HOME": "/h"}, "/h/token"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/token"),
        ({"HOME": "/home/x"}, "/home/x/.cache/huggingface/token"),
    ],
)
def test_the_stored_token_is_where_the_hubs_library_leaves_it(environment: dict[str, str], expected: str) -> None:
    assert token_path(environment) == Path(expected)


def test_logins_in_addresses_are_hidden() -> None:
    text = "Looking in indexes: https://user:password@example.org/simple, https://example.org/a@b"
    shown = redact(text, {})
    assert shown == f"Looking in indexes: https://{HIDDEN}@example.org/simple, https://example.org/a@b"


@pytest.mark.parametrize("text", ["hf_transfer is not installed", "hf_hub_download", "a@b.example", "x://y"])
def test_ordinary_words_are_left_as_they_are(text: str) -> None:
    assert redact(text, {"HF_TOKEN": "x"}) == text


def test_a_result_holds_no_token_whatever_broke(tmp_path: Path) -> None:
    result = make_result(status="failed", warnings=(f"warned of {TOKEN}",))
    result = replace(result, failure=Failure("hub_no_token", "prepare", f"401: {TOKEN}", f"not {TOKEN}"))
    write_result(tmp_path, result)
    assert TOKEN not in (tmp_path / "result.json").read_text()
    assert TOKEN not in json.dumps(to_json(result))
    assert read_result(tmp_path / "result.json").failure is not None


def test_names_of_secrets_are_told_from_others() -> None:
    assert all(map(is_secret, ("GITHUB_TOKEN", "api_key", "AWS_PROFILE", "DB_PASSWORD", "SSH_AUTH_SOCK", "KEYS")))
    assert not any(map(is_secret, ("TOKENIZERS_PARALLELISM", "KEYBOARD", "MONKEY", "AUTHOR", "PATH")))
