"""The table in docs/reliability.md speaks of the faults that are in the suite."""

import json

from tests.faults.register import OUTCOMES_FILE, faults


def test_the_recorded_outcomes_are_those_of_the_suites_faults() -> None:
    """`pytest tests/faults --write-reliability` writes them."""
    recorded = json.loads(OUTCOMES_FILE.read_text(encoding="utf-8"))
    assert [(row["fault"], row["part"]) for row in recorded] == [(fault.name, fault.part) for fault in faults()]


def test_no_two_faults_share_a_name() -> None:
    names = [fault.name for fault in faults()]
    assert len(set(names)) == len(names)
