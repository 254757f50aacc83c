"""Draw a run's table as the picture in the README: `.venv/bin/python -m docs.result_table results/RUN`."""

import sys
from pathlib import Path

from pipeline.host.runs import RunFolder
from pipeline.report import terminal
from pipeline.report.make import Options, make_report, read_contents


def main(run: Path) -> None:
    """Write docs/result-table.svg from the results that lie in the run's folder."""
    folder = RunFolder(run.parent, run.name)
    picture = Path(__file__).parent / "result-table.svg"
    report, _ = make_report(read_contents([folder])[0], folder.path, Path("data"), Options())
    terminal.save_picture(report, picture, f"orchestrator.py, run {run.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
