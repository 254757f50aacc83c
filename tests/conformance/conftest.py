"""Observations of adapters, one an experiment and session."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.host.launchers.process import ProcessLauncher
from tests.conformance.observing import Observation, observe

_seen: dict[str, Observation] = {}


@pytest.fixture(scope="session")
def probe(cache: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Observation]:
    """The observation of an experiment, made once."""
    launcher = ProcessLauncher(data, cache, tmp_path_factory.mktemp("results"))

    def observed(name: str) -> Observation:
        if name not in _seen:
            _seen[name] = observe(name, launcher, tmp_path_factory.mktemp(name))
        return _seen[name]

    return observed
