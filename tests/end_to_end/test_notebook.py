"""docs/results.ipynb, executed from beginning to end over a small real run."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.conftest import REPOSITORY

NOTEBOOK = REPOSITORY / "docs" / "results.ipynb"
RUN = ["--gpu", "cpu", "--experiment", "gguf-q4", "--experiment", "lead-3", "--docs", "2", "--max-new-tokens", "4"]


@pytest.fixture(scope="module")
def executed(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    results = tmp_path_factory.mktemp("results")
    folders = ["--launcher", "process", "--cache", str(cache), "--results", str(results), "--formats", "md"]
    command = [sys.executable, "orchestrator.py", *RUN, "--run", "small", *folders]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source = f"RUNS, RESULTS, DATA = ['small'], {str(results)!r}, '../data'"
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()


def outputs(notebook: NotebookNode, kind: str) -> Iterator[str]:
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if kind in output.get("data", {}):
                yield output.data[kind]


def test_the_notebook_shows_the_ranked_table_of_the_run(executed: NotebookNode) -> None:
    ranking = next(outputs(executed, "text/html"))
    assert "gguf-q4" in ranking and "lead-3" in ranking
    assert "docs_per_s" in ranking


def test_the_notebook_draws_its_two_plots(executed: NotebookNode) -> None:
    assert len(list(outputs(executed, "image/png"))) == 2


def test_the_notebook_tells_of_nothing_that_went_wrong(executed: NotebookNode) -> None:
    told = [output for cell in executed.cells for output in cell.get("outputs", ()) if output.output_type == "stream"]
    assert {output.name for output in told} == {"stdout"}
    assert not any("left out" in output.text for output in told)


def test_the_notebook_is_stored_without_outputs() -> None:
    stored = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert stored
    assert all(cell.outputs == [] and cell.execution_count is None for cell in stored)
