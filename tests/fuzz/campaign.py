"""Fuzz every parser of outside data for as long as told, and count: `python -m tests.fuzz.campaign --seconds 600`.

Half of the time goes to hypothesis, whose inputs are sound ones changed in ways that parsers stumble over, the other
half to atheris, which follows the code that inputs reach. Both come with the locked development requirements.
"""

import argparse
import datetime
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from pipeline.files import read_json, write_json
from tests.fuzz.inputs import inputs
from tests.fuzz.property import REPOSITORY, Target, check
from tests.fuzz.targets import targets

RECORD = Path(__file__).with_name("campaign.json")
EXAMPLES_A_ROUND = 200
_RUNS = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True)
class Outcome:
    """What was done to one target. finding: an input that broke the property, or how it showed; None for none."""

    inputs: dict[str, int]
    seconds: float
    finding: str | None = None


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 where the property held for every input, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign", description=__doc__)
    parser.add_argument("--seconds", type=int, required=True, help="in all, shared out among the targets")
    parser.add_argument("--target", action="append", metavar="NAME", help=f"one of {', '.join(targets())}; repeatable")
    parser.add_argument("--first", type=int, default=None, metavar="N", help="seed of the random inputs")
    parser.add_argument("--record", action="store_true", help=f"write the counts to {RECORD.name}")
    arguments = parser.parse_args(argv)
    chosen = [targets()[name] for name in arguments.target or targets()]
    first = time.time_ns() if arguments.first is None else arguments.first
    share_s = arguments.seconds / len(chosen) / 2
    findings = 0
    for target in chosen:
        outcome = _run(target, share_s, first)
        findings += outcome.finding is not None
        counted = ", ".join(f"{number} by {tool}" for tool, number in outcome.inputs.items())
        print(f"{target.name}: {counted} in {outcome.seconds:.0f} s; {outcome.finding or 'holds'}", flush=True)
        if arguments.record:
            record(target.name, outcome)
    return 1 if findings else 0


def record(name: str, outcome: Outcome) -> None:
    """Write a target's counts beside this module. Findings mended are noted by hand, and stay."""
    known = read_json(RECORD)["targets"]
    entry = {
        "inputs": outcome.inputs,
        "seconds": round(outcome.seconds),
        "findings_open": [outcome.finding] if outcome.finding else [],
        "findings_mended": known.get(name, {}).get("findings_mended", []),
    }
    content = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "tools": {tool: importlib.metadata.version(tool) for tool in ("hypothesis", "atheris")},
        "python": platform.python_version(),
        "targets": known | {name: entry},
    }
    write_json(RECORD, content)


def _run(target: Target, share_s: float, first: int) -> Outcome:
    start = time.monotonic()
    generated, finding = _generate(target, start + share_s, first)
    guided = 0
    if finding is None:
        guided, finding = _guide(target, share_s)
    return Outcome({"hypothesis": generated, "atheris": guided}, time.monotonic() - start, finding)


def _generate(target: Target, end: float, first: int) -> tuple[int, str | None]:
    """Rounds of hypothesis until the time is up: how many inputs, and what broke."""
    count = 0

    def holds(data: bytes) -> None:
        nonlocal count
        count += 1
        check(target, data, Path(scratch))

    quick = settings(
        max_examples=EXAMPLES_A_ROUND,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
    )
    with tempfile.TemporaryDirectory() as scratch:
        number = first
        while time.monotonic() < end:
            try:
                seed(number)(quick(given(data=inputs(target))(holds)))()
            except Exception as error:  # whatever it is, it is what the campaign looks for
                notes = "; ".join(getattr(error, "__notes__", []))
                return count, f"{type(error).__name__}: {error} ({notes})"
            number += 1
    return count, None


def _guide(target: Target, share_s: float) -> tuple[int, str | None]:
    """atheris in a process of its own, since libFuzzer ends it: how many inputs, and what broke."""
    with tempfile.TemporaryDirectory() as findings:
        command = [sys.executable, "-m", "tests.fuzz.coverage_guided", target.name]
        options = ["--seconds", str(max(1, round(share_s))), "--findings", findings]
        done = subprocess.run(
            [*command, *options], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        found = _RUNS.search(done.stderr)
        count = int(found[1]) if found else 0
        if done.returncode == 0 and found:
            return count, None
        artefacts = [json.dumps(path.read_bytes().decode("latin-1")) for path in Path(findings).iterdir()]
        return count, f"{' '.join(artefacts)} {done.stderr[-2000:].decode(errors='replace')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
