"""Which faults there are: each is one test, marked with a sentence that names it and with the part that it strikes."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

OUTCOMES_FILE = Path(__file__).parent / "outcomes.json"

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Fault:
    """name: a sentence without its full stop. part: what it strikes."""

    name: str
    part: str

    @staticmethod
    def of(test: Any) -> "Fault":
        """The fault that a test is marked with."""
        found = getattr(test, "fault", None)
        assert isinstance(found, Fault), f"{test.__name__} is marked with no fault"
        return found


def fault(name: str, part: str) -> Callable[[Test], Test]:
    """Mark a test as that of one fault."""

    def mark(test: Test) -> Test:
        test.fault = Fault(name, part)  # type: ignore[attr-defined]
        return test

    return mark


def faults() -> list[Fault]:
    """All of the suite, in the order of its modules and in them."""
    found = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.faults.{path.stem}")
        tests = [test for name, test in inspect.getmembers(module, inspect.isfunction) if name.startswith("test_")]
        ordered = sorted(tests, key=lambda test: test.__code__.co_firstlineno)
        found += [Fault.of(test) for test in ordered if hasattr(test, "fault")]
    return found
