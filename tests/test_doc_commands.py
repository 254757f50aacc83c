"""The documents on reproducing and importing: each command is one of today's, and their figures are those on record."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline.analysis.memory import estimate
from pipeline.catalog import find, load_catalog
from pipeline.datasets import load_datasets
from pipeline.hardware import AUTO, CPU
from pipeline.host.arguments import Arguments, parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.report.figures import number
from pipeline.report.published import read_published
from tests.conftest import REPOSITORY

DOCUMENTS = tuple(
    REPOSITORY / "docs" / f"{name}.md" for name in ("importing", "other-tests", "published", "reproducibility")
)
CATALOG = load_catalog()
PLACEHOLDER = "…"


def fenced(document: Path) -> list[str]:
    """The lines of a document's fenced blocks, continued ones joined."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def commands() -> list[tuple[str, str]]:
    """Every command of the orchestrator in the documents, by the document's name."""
    found = ((path.stem, line.removeprefix("!")) for path in DOCUMENTS for line in fenced(path))
    return [(name, line) for name, line in found if "orchestrator.py" in line]


def parsed(line: str) -> Arguments:
    words = shlex.split(line, comments=True)
    assert words[:2] == ["python", "orchestrator.py"]
    return parse(words[2:], CATALOG, LAUNCHERS)


@pytest.mark.parametrize(("document", "line"), commands())
def test_a_command_of_a_document_is_one_that_the_orchestrator_takes(document: str, line: str) -> None:
    arguments = parsed(line)
    for name in arguments.experiments:
        find(CATALOG.experiments, name, "experiment")
    find(dict.fromkeys([AUTO, CPU, *CATALOG.gpus]), arguments.gpu, "GPU")
    for model in arguments.models:
        find(CATALOG.models, model, "model")
    if arguments.prompt is not None:
        find(CATALOG.prompts, arguments.prompt, "prompt")
    if arguments.dataset is not None:
        find(load_datasets(), arguments.dataset, "dataset")
    if arguments.import_from is not None:
        assert list((REPOSITORY / arguments.import_from).glob("data_*.json"))


def test_no_document_has_lost_its_commands() -> None:
    assert {name for name, _ in commands()} == {path.stem for path in DOCUMENTS}


def test_a_misspelt_command_would_be_found() -> None:
    with pytest.raises(SystemExit):
        parsed("python orchestrator.py --gpu t4 --experiments none")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name) if name else document
        assert path.exists(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {anchor_of(heading) for heading in headings}, target


def anchor_of(heading: str) -> str:
    """As Markdown's usual renderers call a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_main_tables_rows_and_minutes_are_the_published_figures() -> None:
    text = (REPOSITORY / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| (\S+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", text, re.MULTILINE)
    main = [row for row in read_published().rows if row.documents == 100 and row.preset and row.batch_size is None][:8]
    assert [tuple(row) for row in rows] == [
        (
            row.experiment,
            row.gpu,
            number(row.docs_per_s, 3),
            number(row.documents / row.docs_per_s / 60, 1) if row.docs_per_s else PLACEHOLDER,
            number(row.rouge1_f1, 3),
        )
        for row in main
    ]


def test_each_row_of_the_main_table_has_a_command_of_its_machine_and_preset() -> None:
    run = [parsed(line) for name, line in commands() if name == "reproducibility"]
    planned = {(one.gpu, one.preset, name) for one in run if one.action == "run" for name in one.experiments}
    main = [row for row in read_published().rows if row.documents == 100 and row.preset and row.batch_size is None][:8]
    assert {(row.gpu, row.preset, row.experiment) for row in main} <= planned


@pytest.mark.parametrize(("dtype", "said"), [("float32", "25.1 GiB"), ("float16", "12.6 GiB")])
def test_the_memory_that_the_failed_tests_are_explained_by_is_the_estimate(dtype: str, said: str) -> None:
    model = CATALOG.models["llama-2-7b-chat"]
    footprint = CATALOG.experiments["none"].memory
    found = estimate(model, model.weights["hf"], footprint, dtype, 1, None, "cuda")
    assert found is not None
    text = (REPOSITORY / "docs" / "other-tests.md").read_text(encoding="utf-8")
    assert f"{number(found.weights_bytes / 2**30, 1)} GiB" == said
    assert said in text
