"""What a command imports as it starts."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.parametrize("module", ["optuna", "pandas", "scipy", "matplotlib", "ray"])
def test_no_command_waits_for_the_import_of_what_it_may_not_need(module: str) -> None:
    program = f"import sys, orchestrator; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0
