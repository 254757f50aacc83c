"""Every signature on its real way: a container prints it and dies, and the job's result has its class."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.analysis.failures import WRAPPER, Signature, load_signatures
from pipeline.hardware import CPU, choose_hardware
from pipeline.host.outcome import collect
from pipeline.plan import Selected
from pipeline.results import LOG_FILE, Result
from pipeline.spec import HostFacts, Job
from pipeline.worker.self_check import make_trial_job, selected
from tests.containers.shell import IMAGE, VARIANT, ShellLauncher
from tests.containers.support import CATALOG, EnsureImage, MakeLauncher

TABLE = load_signatures()
AT_ONCE = 8
HARDWARE = choose_hardware(CPU, {}, [], force=False, hypothetical=False)


def job_of(number: int) -> Job:
    """A job of lead-3 with a folder of its own."""
    [item] = selected(IMAGE, VARIANT, [CATALOG.experiments["lead-3"]], HARDWARE)
    assert isinstance(item, Selected)
    return replace(make_trial_job(item, HARDWARE), folder=f"signatures/{number}")


@pytest.fixture(scope="module")
def results(make_launcher: MakeLauncher, image: EnsureImage, shell_image: str) -> list[Result]:
    """Of each entry's container, in the table's order."""
    image("reference")
    launcher = make_launcher(ShellLauncher)
    assert isinstance(launcher, ShellLauncher)

    def run(numbered: tuple[int, Signature]) -> Result:
        number, entry = numbered
        job = job_of(number)
        # in base64, since an example may hold any character, and the script is one argument
        said = base64.b64encode(f"starting\n{entry.example}\n".encode()).decode()
        log = launcher.results / job.folder / LOG_FILE
        ended, _ = launcher.sh(f"echo {said} | base64 -d >&2; exit 1", log)
        return collect(launcher.results, job, HostFacts(), ended, "start")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, enumerate(TABLE)))


@pytest.mark.parametrize("number", range(len(TABLE)), ids=[entry.class_ for entry in TABLE])
def test_a_container_that_dies_with_a_message_has_its_class_in_its_result(number: int, results: list[Result]) -> None:
    expected = "unknown" if TABLE[number].class_ == WRAPPER else TABLE[number].class_
    failure = results[number].failure
    assert failure is not None
    assert (results[number].status, failure.class_) == ("failed", expected)
    assert failure.hint
