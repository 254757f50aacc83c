"""How a lock is installed: what is asked for where, and in which order."""

from pathlib import Path

import pytest

from images.install import InstallError, install, install_steps, python_of
from pipeline.catalog import load_catalog
from pipeline.plan import lock_path
from pipeline.spec import Image

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
    assert last.attempts == (("--no-build-isolation",),)


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

    install("python", tmp_path, install_steps(LOCK, INDEX)[:1], call)
    assert ["--index-url" in command for command in asked if "pip install" in command] == [False, True]


def test_a_step_that_fails_in_every_attempt_ends_it(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="its packages could not be installed"):
        install("python", tmp_path, install_steps(LOCK), lambda command: "pip" not in command)
