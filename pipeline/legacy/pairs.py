"""Which files of a folder belong together: data_<id>_<gpu>_<name>.json and results_<id>_<gpu>_<name>.json."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.names import check_name

KINDS = ("data", "results")
PATTERN = "data_<id>_<gpu>_<name>.json and results_<id>_<gpu>_<name>.json"
_STEM = re.compile(r"([^_]+)_([^_]+)_(.+)")
_BATCH_SIZE = re.compile(r"[_-]batchsize-([1-9]\d{0,5})(?=[_-]|$)")
_THOUSANDS = re.compile(r"^\d+k_")
"""How many documents: of row 30 of the published tables."""
_WORDS = {"default": "none", "vllm_serial": "vllm-awq-serial"}
"""What the published files call an experiment otherwise: those of rows 10 and 24 of the published tables."""


@dataclass(frozen=True)
class PairName:
    """What a pair's file names say. id, gpu, name: as they stand there."""

    id: str
    gpu: str
    name: str

    @property
    def stem(self) -> str:
        """What both names have in common."""
        return f"{self.id}_{self.gpu}_{self.name}"

    def file(self, kind: str) -> str:
        """The name of its file of that kind, one of KINDS."""
        return f"{kind}_{self.stem}.json"

    @property
    def batch_size(self) -> int | None:
        """Of `batchsize-2`; None where the name holds none, or several."""
        found = set(_BATCH_SIZE.findall(f"_{self.name}"))
        return int(found.pop()) if len(found) == 1 else None

    def experiment(self, known: Iterable[str]) -> str:
        """The one of the known experiments that the name spells, whatever its dashes; else the name as it stands."""
        bare = _BATCH_SIZE.sub("", f"_{self.name}")[1:] or self.name
        counted = _THOUSANDS.sub("", bare.lower())
        wanted = _letters(_WORDS.get(counted, counted))
        found = [experiment for experiment in known if _letters(experiment) == wanted]
        return found[0] if len(found) == 1 else bare


def pair_up(names: Iterable[str]) -> tuple[list[PairName], list[str]]:
    """The pairs among a folder's file names, in their order, and what is wrong with the names of others.

    Names that begin with neither kind are somebody else's files and count for nothing.
    """
    stems: dict[str, set[str]] = {}
    faults = []
    for name in sorted(names):
        kind = name.partition("_")[0]
        if kind not in KINDS or not name.endswith(".json"):
            continue
        stem = name[len(kind) + 1 : -len(".json")]
        try:
            _require_parts(stem, name)
        except UsageError as error:
            faults.append(str(error))
        else:
            stems.setdefault(stem, set()).add(kind)
    return _whole(stems, faults), faults


def _require_parts(stem: str, name: str) -> None:
    check_name(stem, name)  # it becomes a folder's name
    if not _STEM.fullmatch(stem):
        raise UsageError(f"{name}: the name doesn't say what it is of; call a pair {PATTERN}")


def _whole(stems: Mapping[str, set[str]], faults: list[str]) -> list[PairName]:
    """Those with both files and a name of their own; the others are added to the faults."""
    pairs: dict[str, PairName] = {}
    for stem, kinds in stems.items():
        missing = [kind for kind in KINDS if kind not in kinds]
        parts = _STEM.fullmatch(stem)
        assert parts is not None
        pair = PairName(*parts.groups())
        if missing:
            faults.append(f"{pair.file(*kinds)}: {pair.file(missing[0])} is missing; {_mend(pair, missing[0], stems)}")
        elif (twin := pairs.setdefault(stem.lower(), pair)) is not pair:
            faults.append(f"{pair.file('data')}: differs from {twin.file('data')} by capitals alone; rename the pair")
    return list(pairs.values())


def _mend(pair: PairName, missing: str, stems: Mapping[str, set[str]]) -> str:
    """What to do about a missing file; another of its kind with the same id, alone too, may be it."""
    alike = [stem for stem, kinds in stems.items() if kinds == {missing} and stem.startswith(f"{pair.id}_")]
    if alike:
        return f"if {missing}_{alike[0]}.json is it, give both one name"
    return "put it beside, or take this away"


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
