"""Real processes: their output, their limits, and that nothing of them is left."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.host.environments import READY_FILE, environment_folder
from pipeline.host.launchers import Exit, Place
from pipeline.host.launchers import process as launcher_module
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.limits import NO_LIMITS, STAGES, Limit, Limits
from pipeline.host.stopping import Stop

IMAGE = load_catalog().images["reference"]
VARIANT = IMAGE.variants[0]


@pytest.fixture
def launcher(tmp_path: Path) -> ProcessLauncher:
    """A launcher whose environment's interpreter is a script that the test writes with `becomes`."""
    folder = environment_folder(tmp_path / "cache", IMAGE, VARIANT)
    (folder / "bin").mkdir(parents=True)
    (folder / READY_FILE).touch()
    return ProcessLauncher(tmp_path / "data", tmp_path / "cache", tmp_path / "results")


def becomes(launcher: ProcessLauncher, script: str) -> None:
    """What runs instead of `python -m pipeline`: a Python script with the launcher's arguments."""
    python = environment_folder(launcher.cache, IMAGE, VARIANT) / "bin" / "python"
    python.write_text(f"#!{sys.executable}\n{script}")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)


def run(launcher: ProcessLauncher, tmp_path: Path, limits: Limits = NO_LIMITS) -> tuple[Exit, list[str]]:
    lines: list[str] = []
    ended = launcher.run(IMAGE, VARIANT, ["--job", "x"], tmp_path / "job" / "log.txt", lines.append, limits)
    return ended, lines


def silent_for(seconds: float) -> Limits:
    return Limits(stages=dict.fromkeys(STAGES, Limit(idle_s=seconds)))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_python_that_the_machine_lacks_is_the_reason(tmp_path: Path) -> None:
    absent = ProcessLauncher(tmp_path, tmp_path, tmp_path)
    reason = absent.why_not(IMAGE, replace(VARIANT, python="3.1"))
    assert reason == "needs Python 3.1, which is not on this machine's PATH"


def test_a_build_tool_that_the_machine_lacks_is_the_reason(tmp_path: Path) -> None:
    absent = ProcessLauncher(tmp_path, tmp_path, tmp_path)
    reason = absent.why_not(IMAGE, replace(VARIANT, build_tools=("no-such-compiler",)))
    assert reason == "needs no-such-compiler to build its packages, not on this machine's PATH"


def test_output_reaches_the_log_and_the_watcher_line_by_line(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import sys; print('one'); print('two', file=sys.stderr)")
    ended, lines = run(launcher, tmp_path)
    assert ended == Exit(0)
    assert sorted(lines) == ["one", "two"]
    assert sorted((tmp_path / "job" / "log.txt").read_text().split()) == ["one", "two"]


def test_the_exit_status_is_the_jobs(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "raise SystemExit(7)")
    assert run(launcher, tmp_path)[0] == Exit(7)


def test_a_signal_is_a_negative_status(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run(launcher, tmp_path)[0] == Exit(-signal.SIGKILL)


def test_bytes_that_are_no_text_break_nothing(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import sys; sys.stdout.buffer.write(b'\\xff\\x00\\n')")
    ended, lines = run(launcher, tmp_path)
    assert (ended, len(lines)) == (Exit(0), 1)


def test_a_job_that_takes_too_long_is_ended(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import time; time.sleep(60)")
    started = time.perf_counter()
    ended, _ = run(launcher, tmp_path, Limits(job_s=0.5))
    assert ended.timed_out
    assert time.perf_counter() - started < 10


def test_a_job_that_ignores_sigterm_is_killed(
    launcher: ProcessLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_module, "GRACE_S", 0.5)
    becomes(launcher, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    ended, _ = run(launcher, tmp_path, Limits(job_s=1))
    assert (ended.code, ended.timed_out) == (-signal.SIGKILL, True)


def test_a_silent_job_that_waits_is_ended(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import time; time.sleep(60)")
    ended, _ = run(launcher, tmp_path, silent_for(1))
    assert ended.timed_out
    assert ended.message == "stage load gave no sign of life for 1 s (--idle-limit)"


def test_a_silent_job_that_computes_lives_on(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import time\nuntil = time.monotonic() + 3\nwhile time.monotonic() < until: pass")
    assert run(launcher, tmp_path, silent_for(1))[0] == Exit(0)


def test_a_log_that_cannot_be_written_does_not_stop_the_job(launcher: ProcessLauncher, tmp_path: Path) -> None:
    """A megabyte, which no pipe holds."""
    becomes(launcher, "for _ in range(20_000): print('x' * 50)")
    (tmp_path / "job").write_text("a file where the job's folder should be")
    ended, lines = run(launcher, tmp_path)
    assert (ended.code, len(lines)) == (0, 20_000)
    assert "the log can't be written" in (ended.log_fault or "")


def test_a_child_that_leaves_the_session_is_ended_with_its_job(launcher: ProcessLauncher, tmp_path: Path) -> None:
    leave = "import subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)"
    becomes(launcher, leave)
    _, lines = run(launcher, tmp_path)
    assert not alive(int(lines[0]))


def test_children_that_outlive_their_job_are_ended(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)")
    _, lines = run(launcher, tmp_path)
    assert not alive(int(lines[0]))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_job_and_goes_on_to_the_caller(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    lines: list[str] = []
    interrupt = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        launcher.run(IMAGE, VARIANT, [], tmp_path / "log.txt", lines.append)
    assert not alive(int(lines[0]))


def test_the_hubs_token_does_not_reach_a_job(
    launcher: ProcessLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    becomes(launcher, "import os; print(os.environ.get('HF_TOKEN'))")
    assert run(launcher, tmp_path)[1] == ["None"]


def test_two_makers_of_one_environment_wait_for_each_other(tmp_path: Path) -> None:
    """The second finds what the first made instead of making it again."""
    script = (
        "import sys; from pathlib import Path; from pipeline.catalog import load_catalog;"
        "from pipeline.host.environments import ensure_environment; image = load_catalog().images['reference'];"
        "ensure_environment(Path(sys.argv[1]), image, image.variants[0], Path(sys.argv[2]))"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "cache"), str(tmp_path / f"{number}.txt")])
        for number in range(2)
    ]
    assert [maker.wait() for maker in makers] == [0, 0]
    assert len(list(tmp_path.glob("?.txt"))) == 1


def test_a_job_sees_the_gpus_of_its_place_alone(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['CUDA_DEVICE_ORDER'])")
    lines: list[str] = []
    log, place = tmp_path / "job" / "log.txt", Place(2, ("GPU-5", "GPU-6"))
    launcher.run(IMAGE, VARIANT, ["--job", "x"], log, lines.append, place=place)
    assert lines == ["GPU-5,GPU-6 PCI_BUS_ID"]


def test_a_job_is_bound_to_the_cores_of_its_place_and_its_starter_is_not(
    launcher: ProcessLauncher, tmp_path: Path
) -> None:
    becomes(launcher, "import os; print(sorted(os.sched_getaffinity(0)))")
    before, lines = os.sched_getaffinity(0), []
    last = max(before)
    log = tmp_path / "job" / "log.txt"
    launcher.run(IMAGE, VARIANT, ["--job", "x"], log, lines.append, place=Place(cores=(last,)))
    assert lines == [f"[{last}]"]
    assert os.sched_getaffinity(0) == before


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("here", flush=True)
time.sleep(60)
time.sleep(60)
"""


def test_a_job_in_a_thread_is_asked_to_end_and_then_killed(launcher: ProcessLauncher, tmp_path: Path) -> None:
    becomes(launcher, STUBBORN)
    stop, lines, raised = Stop(), [], []

    def job() -> None:
        try:
            launcher.run(IMAGE, VARIANT, ["--job", "x"], tmp_path / "job" / "log.txt", lines.append, stop=stop)
        except KeyboardInterrupt:
            raised.append(True)

    thread = threading.Thread(target=job)
    thread.start()
    for said in ("here", "asked"):
        while said not in lines:
            time.sleep(0.05)
        stop.ask()
    thread.join(timeout=10)
    assert raised == [True]
