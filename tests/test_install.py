"""How a lock is installed: what is asked for where, in which order, and how what has no wheel is built."""

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.install import (
    InstallError,
    InstallStep,
    build_environment,
    build_key,
    build_wheels,
    install,
    install_steps,
    python_of,
)
from pipeline.catalog import load_catalog
from pipeline.entries import Image
from pipeline.jobs import lock_path

INDEX = "https://index.example"
LOCK = """\
# compiled from cpu.in
numpy==2.4.6 \\
    --hash=sha256:aa
    # via torch
torch==2.13.0+cpu \\
    --hash=sha256:bb
flash-attn==2.8.3 \\
    --hash=sha256:cc
pyyaml==6.0.3 \\
    --hash=sha256:dd
"""


def test_versions_of_the_vendor_come_first_and_ask_its_index_last() -> None:
    first = install_steps(LOCK, INDEX)[0]
    assert first.requirements == "torch==2.13.0+cpu \\\n    --hash=sha256:bb\n"
    assert first.attempts == ((), ("--index-url", INDEX))


def test_everything_else_asks_the_default_index_alone() -> None:
    second = install_steps(LOCK, INDEX)[1]
    assert "numpy==2.4.6" in second.requirements
    assert "torch" not in second.requirements.replace("# via torch", "")
    assert second.attempts == ((),)


def test_packages_without_wheels_are_built_last_against_the_others() -> None:
    last = install_steps(LOCK, INDEX, ("flash-attn",))[-1]
    assert last.requirements.startswith("flash-attn==2.8.3")
    assert last.built


def test_a_wheelhouse_is_asked_before_any_index_and_beside_it(tmp_path: Path) -> None:
    (tmp_path / "torch-2.13.0-py3-none-any.whl").write_text("")
    first = install_steps(LOCK, INDEX, wheelhouse=tmp_path)[0]
    find = ("--find-links", str(tmp_path))
    assert first.attempts == ((*find, "--no-index"), find, (*find, "--index-url", INDEX))


def test_an_empty_wheelhouse_changes_nothing(tmp_path: Path) -> None:
    assert install_steps(LOCK, INDEX, wheelhouse=tmp_path) == install_steps(LOCK, INDEX)


@pytest.mark.parametrize("image", load_catalog().images.values(), ids=lambda image: image.name)
def test_no_requirement_of_a_shipped_lock_is_lost(image: Image) -> None:
    for variant in image.variants:
        lock = lock_path(image, variant).read_text(encoding="utf-8")
        steps = "".join(step.requirements for step in install_steps(lock, variant.index, variant.build_packages))
        assert steps.count("==") == lock.count("==")


@pytest.mark.parametrize("image", load_catalog().images.values(), ids=lambda image: image.name)
def test_a_shipped_lock_says_which_python_it_is_for(image: Image) -> None:
    for variant in image.variants:
        assert python_of(lock_path(image, variant).read_text(encoding="utf-8")) == variant.python


def test_an_attempt_that_fails_is_followed_by_the_next(tmp_path: Path) -> None:
    asked: list[str] = []

    def call(command: object) -> bool:
        asked.append(" ".join(command))  # type: ignore[arg-type]
        return "pip install" not in asked[-1] or "--index-url" in asked[-1]

    install("python", tmp_path, install_steps(LOCK, INDEX)[:1], call, tmp_path)
    assert ["--index-url" in command for command in asked if "pip install" in command] == [False, True]


def test_a_step_that_fails_in_every_attempt_ends_it(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="its packages could not be installed"):
        install("python", tmp_path, install_steps(LOCK), lambda command: "pip" not in command, tmp_path)


# A build backend that needs nothing installed: it compiles one object, unless that is there, and packs a wheel.
BACKEND = """\
import os, zipfile
from pathlib import Path

INFO = "made_here-1.0.dist-info"
METADATA = "Metadata-Version: 2.1\\nName: made-here\\nVersion: 1.0\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    (Path(folder) / INFO).mkdir()
    (Path(folder) / INFO / "METADATA").write_text(METADATA)
    return INFO

def build_wheel(folder, config_settings=None, metadata_directory=None):
    if not Path("made.o").exists():
        with open(os.environ["DIARY"], "a") as diary:
            diary.write("compiled\\n")
        Path("made.o").write_text("")
    if Path(os.environ["BROKEN"]).exists():
        raise MemoryError("the compiler was killed")
    with zipfile.ZipFile(Path(folder) / "made_here-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{INFO}/METADATA", METADATA)
        wheel.writestr(f"{INFO}/WHEEL", WHEEL)
        wheel.writestr(f"{INFO}/RECORD", "")
    return "made_here-1.0-py3-none-any.whl"
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@dataclass(frozen=True)
class Source:
    """A source package in a wheelhouse; building it fails as long as the file `broken` is there."""

    steps: list[InstallStep]
    folder: Path

    @property
    def compiled(self) -> int:
        """How often its object was compiled."""
        return len((self.folder / "diary").read_text().splitlines())

    @property
    def broken(self) -> Path:
        return self.folder / "broken"

    def build(self) -> list[Path]:
        """Its wheel, built with this very interpreter."""
        (self.folder / "listed.txt").write_text(self.steps[0].requirements)
        wanted = ["--require-hashes", "--requirement", str(self.folder / "listed.txt")]
        return build_wheels(sys.executable, wanted, self.steps[0].attempts, self.folder / "builds", call_pip)


def call_pip(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    wheelhouse = tmp_path / "wheelhouse"
    wheelhouse.mkdir()
    archive = wheelhouse / "made_here-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name, text in (("backend.py", BACKEND), ("pyproject.toml", PYPROJECT)):
            member = tarfile.TarInfo(f"made_here-1.0/{name}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setenv("DIARY", str(tmp_path / "diary"))
    monkeypatch.setenv("BROKEN", str(tmp_path / "broken"))
    lock = f"made-here==1.0 \\\n    --hash=sha256:{digest}\n"
    return Source(install_steps(lock, build_packages=["made-here"], wheelhouse=wheelhouse), tmp_path)


def test_a_source_package_of_the_wheelhouse_becomes_a_wheel(source: Source) -> None:
    assert [path.name for path in source.build()] == ["made_here-1.0-py3-none-any.whl"]


def test_a_build_that_broke_off_goes_on_with_the_objects_it_has(source: Source) -> None:
    source.broken.touch()
    with pytest.raises(InstallError):
        source.build()
    source.broken.unlink()
    assert len(source.build()) == 1
    assert source.compiled == 1


def test_a_wheel_that_was_built_is_not_built_again(source: Source) -> None:
    times = [path.stat().st_mtime_ns for path in source.build()]
    source.broken.touch()
    assert [path.stat().st_mtime_ns for path in source.build()] == times


def test_a_build_that_fails_names_the_package(source: Source) -> None:
    source.broken.touch()
    with pytest.raises(InstallError, match=r"made_here-1\.0 could not be built; the same again goes on from here"):
        source.build()


def test_builds_against_another_lock_or_with_other_variables_are_kept_apart() -> None:
    keys = {build_key(LOCK, {}), build_key(LOCK + "x==1", {}), build_key(LOCK, {"ARCHS": "80"}),
            build_key(LOCK, {"ARCHS": "90"})}  # fmt: skip
    assert len(keys) == 4


def test_a_build_finds_the_tools_of_its_environment_first(tmp_path: Path) -> None:
    variables = build_environment(tmp_path, {"ARCHS": "90"}, {"PATH": "/usr/bin", "HOME": "/root"})
    assert variables == {"PATH": f"{tmp_path / 'bin'}:/usr/bin", "HOME": "/root", "ARCHS": "90"}


def test_how_many_compilers_may_run_is_told_under_every_name() -> None:
    variables = build_environment(Path("venv"), {}, {"MAX_JOBS": "4", "NPROC": "64"})
    assert (variables["MAX_JOBS"], variables["NPROC"]) == ("4", "4")
    assert "NPROC" not in build_environment(Path("venv"), {}, {"MAX_JOBS": ""})
