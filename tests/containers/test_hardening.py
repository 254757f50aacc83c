"""What a job can't do, tried from inside its container."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.host.docker.build import BuildOptions, build_options
from pipeline.host.docker.engine import Engine
from pipeline.host.launchers import Exit, Work
from pipeline.redact import HIDDEN
from tests.containers.shell import IMAGE, SETUID_CAT, VARIANT, ShellLauncher

TOKEN = "hf_this-is-a-secret"

WRITABLE = """
import os
for folder, inner, _ in os.walk("/"):
    if folder in ("/proc", "/sys"):
        inner.clear()
        continue
    try:
        with open(os.path.join(folder, ".probe"), "x"):
            pass
        os.remove(os.path.join(folder, ".probe"))
    except OSError:
        continue
    print(folder)
    inner.clear()
"""

Inside = Callable[..., list[str]]


@pytest.fixture
def inside(shell: ShellLauncher, tmp_path: Path) -> Inside:
    """Runs a shell script in a job's container and gives its lines back; it must succeed."""

    def run(script: str, work: Work = "job") -> list[str]:
        ended, lines = shell.sh(script, tmp_path / "log.txt", work=work)
        assert ended == Exit(0), lines
        return lines

    return run


def python(source: str) -> str:
    """A shell script that runs Python."""
    return f"python3 - <<'END'\n{source}\nEND"


def test_only_results_kernels_and_temporary_folders_can_be_written_to(inside: Inside) -> None:
    of_the_container_itself = {"/dev", "/dev/mqueue", "/dev/shm"}  # in memory; /dev for root alone
    assert set(inside(python(WRITABLE))) - of_the_container_itself == {"/results", "/compile", "/tmp"}


def test_what_fetches_writes_to_the_cache_and_not_to_results(inside: Inside) -> None:
    script = "touch /results/x 2>/dev/null || echo refused; touch /cache/.probe && rm /cache/.probe && echo done"
    assert inside(script, "fetch") == ["refused", "done"]


def test_what_converts_has_no_network_and_no_token(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    script = 'ls /sys/class/net; touch /cache/.probe && rm /cache/.probe && echo done; echo "token: $HF_TOKEN_PATH"'
    assert inside(script, "convert") == ["lo", "done", "token: "]


def test_what_fetches_can_change_no_program_that_is_run_later(inside: Inside) -> None:
    script = "for name in envs builds compile; do touch /cache/$name/.probe 2>/dev/null || echo $name; done"
    assert inside(script, "fetch") == ["envs", "builds", "compile"]


def test_a_job_sees_no_other_jobs_results(shell: ShellLauncher, tmp_path: Path) -> None:
    for name in ("mine", "other"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "result.json").touch()
    _, lines = shell.sh("cd /results; find . -type f | sort", tmp_path / "run" / "mine" / "log.txt")
    assert lines == ["./run/mine/log.txt", "./run/mine/result.json"]


def test_a_log_is_not_written_through_a_link_that_a_job_left(shell: ShellLauncher, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "job" / "log.txt").symlink_to(tmp_path / "precious")
    shell.sh("echo output", tmp_path / "job" / "log.txt")
    assert (tmp_path / "precious").read_text() == "mine"


def test_programs_in_tmp_can_be_run(inside: Inside) -> None:
    assert inside("cp /bin/echo /tmp/program && /tmp/program works") == ["works"]


def test_there_is_no_network_but_its_own_loopback(inside: Inside) -> None:
    assert inside("ls /sys/class/net") == ["lo"]


def test_there_is_no_capability_to_use_or_to_gain(inside: Inside) -> None:
    status = dict(line.split(":\t") for line in inside("grep -E '^(Cap|NoNewPrivs)' /proc/self/status"))
    assert status.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in status.values()} == {0}
    assert {"CapEff", "CapPrm", "CapBnd"} <= status.keys()


def test_system_calls_are_filtered(inside: Inside) -> None:
    assert inside("grep ^Seccomp: /proc/self/status") == ["Seccomp:\t2"]


def test_the_engines_socket_is_out_of_reach(inside: Inside) -> None:
    assert inside("find / -xdev -name 'docker.sock' 2>/dev/null; find /run /var/run -type s; true") == []


def test_no_process_of_the_machine_can_be_seen(inside: Inside) -> None:
    seen = int(inside("ls -d /proc/[0-9]* | wc -l")[0])
    assert seen <= 6


def test_settings_of_the_kernel_can_be_read_at_most(inside: Inside) -> None:
    files = "/proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger /sys/kernel/uevent_helper"
    tried = 'if [ -e "$file" ] && (: >> "$file") 2>/dev/null; then echo "$file"; fi'
    assert inside(f"for file in {files}; do {tried}; done; echo end") == ["end"]


def test_neither_devices_nor_file_systems_can_be_made(inside: Inside) -> None:
    tried = "mknod /tmp/disk b 8 0 || mount -t tmpfs none /mnt || unshare --mount true || echo refused"
    assert inside(f"({tried}) 2>/dev/null") == ["refused"]


def test_disks_and_memory_of_the_machine_are_not_there(inside: Inside) -> None:
    assert inside("find /dev -type b; ls /dev/mem /dev/kmem /dev/kmsg 2>/dev/null; true") == []


def test_a_user_who_is_not_root_is_not_root_inside_and_no_setuid_program_changes_that(
    shell: ShellLauncher, tmp_path: Path
) -> None:
    other = replace(shell, overrides={"user": "12345:12345"})
    ended, lines = other.sh(f"id -u; {SETUID_CAT} /proc/self/status | grep -E '^(Uid|Gid)'", tmp_path / "log.txt")
    assert ended == Exit(0)
    assert lines == ["12345", *(f"{kind}:" + "\t12345" * 4 for kind in ("Uid", "Gid"))]


def test_it_runs_as_the_caller(inside: Inside, engine: Engine) -> None:
    caller = [0, 0] if engine.facts.rootless else [os.getuid(), os.getgid()]
    assert inside("id -u; id -g") == [str(number) for number in caller]


def test_what_it_writes_is_the_callers(inside: Inside, shell: ShellLauncher) -> None:
    inside("touch /results/written")
    assert (shell.results / "written").stat().st_uid == os.getuid()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's token in this process's environment."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def inspected(shell: ShellLauncher, client: docker.DockerClient, log: Path, work: Work) -> dict[str, Any]:
    with shell.spec(IMAGE, VARIANT, ["true"], log, work) as spec, shell.engine.container(spec) as container:
        made: dict[str, Any] = client.api.inspect_container(container.id)
    return made


@pytest.mark.usefixtures("token")
def test_a_job_has_no_token(inside: Inside, shell: ShellLauncher, client: docker.DockerClient, tmp_path: Path) -> None:
    seen = inside("env; ls -d /run/secrets/* 2>/dev/null; true")
    assert [line for line in seen if "TOKEN" in line or "/run/secrets" in line] == []
    assert TOKEN not in json.dumps(inspected(shell, client, tmp_path / "log.txt", "job"))


@pytest.mark.usefixtures("token")
def test_what_fetches_has_the_token_as_a_file_alone(
    shell: ShellLauncher, client: docker.DockerClient, tmp_path: Path
) -> None:
    ended, lines = shell.sh('sha256sum < "$HF_TOKEN_PATH"; env', tmp_path / "log.txt", work="fetch")
    assert (ended, lines[0].split()[0]) == (Exit(0), hashlib.sha256(TOKEN.encode()).hexdigest())
    assert [line for line in lines[1:] if TOKEN in line] == []
    assert TOKEN not in json.dumps(inspected(shell, client, tmp_path / "log.txt", "fetch"))


@pytest.mark.usefixtures("token")
def test_a_token_that_is_printed_reaches_neither_the_log_nor_the_screen(shell: ShellLauncher, tmp_path: Path) -> None:
    ended, lines = shell.sh('cat "$HF_TOKEN_PATH"', tmp_path / "log.txt", work="fetch")
    assert (ended, lines) == (Exit(0), [HIDDEN])
    assert (tmp_path / "log.txt").read_text().strip() == HIDDEN


@pytest.mark.usefixtures("token")
def test_a_build_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:a-password@proxy.example")
    words = " ".join(build_options(IMAGE, VARIANT, BuildOptions(), None))
    assert [secret for secret in (TOKEN, "a-password") if secret in words] == []


@pytest.mark.usefixtures("token")
def test_the_file_of_the_token_is_gone_after_the_job(shell: ShellLauncher, tmp_path: Path) -> None:
    with shell.spec(IMAGE, VARIANT, [], tmp_path / "log.txt", "fetch") as spec:
        [source] = [bind.source for bind in spec.binds if bind.target == "/run/secrets/hf-token"]
        assert (source.read_text(), source.stat().st_mode & 0o777) == (TOKEN, 0o600)
    assert not source.exists()
