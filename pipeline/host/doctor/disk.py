"""What has yet to be built and fetched, against the free space where it will lie."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.spec import Check

GB = 1e9
SURE = 0.8
"""The share of a listed size that is needed in any case: images share their bases, environments have none."""

AMPLE = 1.5
"""Builds and downloads lie twice on the disk for a while; with less than this it may become tight."""

RESULTS_BYTES = 10**9


@dataclass(frozen=True)
class Need:
    """Something that isn't there yet. place: the name of where it will lie. size_bytes: None where not known."""

    what: str
    place: str
    size_bytes: int | None


@dataclass(frozen=True)
class Place:
    """A folder and its file system. device: the file system's number, None, like free_bytes, if it can't be told."""

    path: Path
    device: int | None
    free_bytes: int | None


def find_place(path: Path, *, must_exist: bool = False) -> Place:
    """Ask the system. A folder that will be made lies where the nearest one above it does, unless must_exist."""
    nearest = path
    while not nearest.exists() and not must_exist and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        figures = os.statvfs(nearest)
        return Place(path, nearest.stat().st_dev, figures.f_bavail * figures.f_frsize)
    except OSError:
        return Place(path, None, None)


def disk_checks(needs: Mapping[str, Sequence[Need]], places: Mapping[str, Place]) -> list[Check]:
    """A line for each file system, and one for each experiment that it can't hold beside those before it.

    needs: by experiment, in the order of the run. places: by the needs' names of them, and the results folder.
    """
    taken: dict[str, Need] = {}
    failed: list[Check] = []
    for name, wanted in needs.items():
        trial = taken | {need.what: need for need in wanted}
        short = next((place for place in places.values() if _needed(trial, place, places) * SURE > _free(place)), None)
        if short is None:
            taken = trial
            continue
        lacking = ", ".join(need.what for need in wanted if need.what not in taken)
        message = (
            f"no room for {lacking}: {_needed(trial, short, places) / GB:.1f} GB with what comes before it, "
            f"{_free(short) / GB:.1f} GB free at {short.path}"
        )
        failed.append(Check("disk", name, "fail", message, _mend(short, places), (name,)))
    systems: dict[int | None, Place] = {}
    for place in places.values():
        systems.setdefault(place.device, place)
    return [_file_system(place, taken, places) for place in systems.values()] + failed


def _file_system(place: Place, taken: Mapping[str, Need], places: Mapping[str, Place]) -> Check:
    subject = str(place.path)
    here = [need for need in taken.values() if places[need.place].device == place.device]
    if place.free_bytes is None:
        what = ", ".join(need.what for need in here) or "what it will hold"
        return Check("disk", subject, "unknown", f"free space can't be told; {what}")
    unsized = [need.what for need in here if need.size_bytes is None]
    needed = _needed(taken, place, places)
    message = f"{place.free_bytes / GB:.1f} GB free"
    message += f", about {needed / GB:.1f} GB to be built and fetched" if here else ", nothing to be built or fetched"
    if unsized:
        message += f" beside what has no known size ({', '.join(unsized)})"
    if place.free_bytes < needed * AMPLE + RESULTS_BYTES:
        return Check("disk", subject, "warn", f"may become tight: {message}", _mend(place, places))
    return Check("disk", subject, "unknown" if unsized else "pass", message)


def _needed(needs: Mapping[str, Need], place: Place, places: Mapping[str, Place]) -> int:
    """Bytes of known size on a place's file system."""
    return sum(need.size_bytes or 0 for need in needs.values() if places[need.place].device == place.device)


def _free(place: Place) -> float:
    """Free bytes; unlimited where they can't be told, since nothing is refused on a guess."""
    return float("inf") if place.free_bytes is None else place.free_bytes


def _mend(place: Place, places: Mapping[str, Place]) -> str:
    names = [name for name, other in places.items() if other.device == place.device]
    elsewhere = {"cache": "--cache DIR", "data": "--data DIR", "results": "--results DIR"}
    moves = [elsewhere[name] for name in names if name in elsewhere]
    if "Docker's images" in names:
        moves.append("Docker's data-root")
    return f"free some space, or move {' or '.join(moves)} to another disk"
