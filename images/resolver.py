"""The question to the resolver: can these requirements be met in one environment, and if not, why not?"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from images.lock import COMPILE, IMAGES, excludes, requirement_files, resolver_options
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError

NO_SOLUTION = "No solution found"
_TERM = r"[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])?(?:\{[^}]*\})?(?:[=<>!~]+[\w.+*!-]+(?:,[=<>!~]+[\w.+*!-]+)*)?"
_EXACT = re.compile(r"[\w.-]+==[^,*]+")


@dataclass(frozen=True)
class Wanted:
    """What one environment is to hold. pins: for each line of requirements, a package and its version or None."""

    python: str
    pins: Sequence[tuple[str, str | None]]
    engines: frozenset[str]
    leave_out: tuple[Path, ...]
    indexes: tuple[str | None, ...]

    @classmethod
    def of(cls, image: Image, variant: Variant) -> "Wanted":
        """What a variant's lock is compiled from."""
        folder = IMAGES / image.name
        lines = [
            line
            for path in requirement_files(folder / f"{variant.name}.in")
            for line in path.read_text(encoding="utf-8").splitlines()
            if line and not line.startswith(("#", "-r "))
        ]
        return cls(
            python=variant.python,
            pins=[(name, version) for name, version in (line.split("==") for line in lines)],
            engines=frozenset(image.engine_packages(variant)),
            leave_out=tuple(excludes(variant, folder)),
            indexes=(variant.index,),
        )

    def engine_alone(self) -> "Wanted":
        """The same packages with no version but the engine's: what the engine's own metadata asks for."""
        return replace(self, pins=[(name, version if name in self.engines else None) for name, version in self.pins])

    def has(self, pin: str) -> bool:
        """Whether this pin is among them, however its package's name is spelt."""
        return pin in {f"{_normalised(name)}=={version}" for name, version in self.pins}

    def text(self) -> str:
        """As a requirements file."""
        return "".join(f"{name}=={version}\n" if version else f"{name}\n" for name, version in self.pins)


@dataclass(frozen=True)
class Contradiction:
    """text: the resolver's own words. dependencies, pins: what it rests on, as "A==1 depends on B<2" and "B==2"."""

    text: str
    dependencies: tuple[str, ...]
    pins: tuple[str, ...]


def unite(first: Wanted, second: Wanted) -> Wanted:
    """Both in one environment, of the same Python."""
    return Wanted(
        python=first.python,
        pins=list(dict.fromkeys([*first.pins, *second.pins])),
        engines=first.engines | second.engines,
        leave_out=tuple(dict.fromkeys([*first.leave_out, *second.leave_out])),
        indexes=(*first.indexes, *second.indexes),
    )


def resolve(wanted: Wanted, with_index: bool = True) -> Contradiction | None:
    """None if there is an environment that holds all of it. Raises BenchmarkError if the resolver can't tell."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "wanted.in"
        listed.write_text(wanted.text(), encoding="utf-8")
        options = resolver_options(wanted.python, wanted.leave_out, wanted.indexes if with_index else ())
        done = subprocess.run(
            [*COMPILE, str(listed), "--quiet", "--no-annotate", *options],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode == 0:
        return None
    said = " ".join(done.stderr.split())
    if NO_SOLUTION not in said:
        raise BenchmarkError(f"the resolver can't tell\n{done.stderr}")
    return explain(said)


def explain(said: str) -> Contradiction:
    """uv's explanation taken apart; each requirement once."""
    dependencies = re.findall(rf"({_TERM}) depends on ({_TERM})", said)
    required = re.findall(r"you require (.*?)(?:, we can conclude|\.(?: |$))", said)
    # What a .in file pins is one exact version; a range is uv's own conclusion.
    pins = [pin for part in required for pin in re.findall(_TERM, part) if _EXACT.fullmatch(pin)]
    needed = {_name(term) for _, term in dependencies}
    return Contradiction(
        text=said,
        dependencies=tuple(dict.fromkeys(f"{package} depends on {needs}" for package, needs in dependencies)),
        pins=tuple(dict.fromkeys(pin for pin in pins if _name(pin) in needed or not dependencies)),
    )


def _name(term: str) -> str:
    return re.split(r"[\[{=<>!~]", term)[0]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()
