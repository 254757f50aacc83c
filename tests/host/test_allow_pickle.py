"""--allow-pickle reaches what fetches and makes weights, and nothing does without it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Image, Variant
from pipeline.hardware import Hardware
from pipeline.host.arguments import parse
from pipeline.host.launchers import Exit
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.prepare import Preparation
from pipeline.plan import Selected, select
from pipeline.report.watch import LineWatcher
from pipeline.spec import JobGpu

CATALOG = load_catalog()
CPU = Hardware(JobGpu("cpu", "CPU", "cpu"), "float32")


@dataclass
class Recorder:
    """A launcher whose environments are all there and whose jobs do nothing."""

    asked: list[Sequence[str]] = field(default_factory=list)

    def why_not(self, _image: Image, _variant: Variant) -> str | None:
        return None

    def ready(self, _image: Image, _variant: Variant) -> bool:
        return True

    def run(self, _image: Image, _variant: Variant, arguments: Sequence[str], log: Path, *_: Any, **__: Any) -> Exit:
        self.asked.append(arguments)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("did nothing\n", encoding="utf-8")
        return Exit(1)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_flag_is_handed_to_what_prepares(allowed: bool, tmp_path: Path) -> None:
    model = CATALOG.models["gemma-3-270m"]
    [item] = select(["gguf-q4"], CATALOG, model, CPU, lambda *_: None)
    assert isinstance(item, Selected)
    launcher: Any = Recorder()
    preparation = Preparation(
        CATALOG, launcher, CPU, {}, tmp_path / "cache", tmp_path, LineWatcher(), allow_pickle=allowed
    )
    preparation.prepare([item])
    assert [("--allow-pickle" in words) for words in launcher.asked] == [allowed]


def test_it_is_off_unless_it_is_given() -> None:
    command = ["--all", "--gpu", "cpu"]
    assert parse(command, CATALOG, LAUNCHERS).allow_pickle is False
    assert parse([*command, "--allow-pickle"], CATALOG, LAUNCHERS).allow_pickle is True
