"""Which faults there are: each is one test, marked with a sentence that names it and with the part that it strikes.

And which classes of failures are brought about.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
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


def provokes(*classes: str) -> Callable[[Test], Test]:
    """Mark a test as one that brings about failures of these classes."""

    def mark(test: Test) -> Test:
        test.provokes = classes  # type: ignore[attr-defined]
        return test

    return mark


def faults() -> list[Fault]:
    """All of the suite, in the order of its modules and in them."""
    return [Fault.of(test) for test in _tests() if hasattr(test, "fault")]


def provoked() -> dict[str, list[str]]:
    """The classes that are brought about, and by which tests, as these are called in words."""
    found: dict[str, list[str]] = {}
    for test in _tests():
        for class_ in getattr(test, "provokes", ()):
            found.setdefault(class_, []).append(test.__name__.removeprefix("test_").replace("_", " "))
    return dict(sorted(found.items()))


def _tests() -> Iterator[Any]:
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.faults.{path.stem}")
        tests = [test for name, test in inspect.getmembers(module, inspect.isfunction) if name.startswith("test_")]
        yield from sorted(tests, key=lambda test: test.__code__.co_firstlineno)
