"""All that the checks need to know of this machine, gathered for a session; nothing is fetched, built or started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.datasets import Dataset, NotPrepared
from pipeline.gpus import detect_gpus
from pipeline.host.doctor.containers import DockerFacts, builder_fault, read_docker
from pipeline.host.doctor.disk import Need, Place, find_place
from pipeline.host.doctor.folders import Limits, is_writable, read_limits
from pipeline.host.doctor.gpu import Card, has_nvidia_card, read_cards
from pipeline.host.doctor.hub import Gated, ask
from pipeline.host.doctor.memory import Memory, main_memory
from pipeline.host.doctor.missing import IMAGES, find_missing, prepared_bytes, repositories_to_fetch
from pipeline.host.session import Session

GIB = 1024**3


@dataclass(frozen=True)
class Facts:
    """Of the machine, as the checks take them; each is explained beside its check.

    docker: None where --launcher process leaves it out. builds: the experiments whose images have to be built;
    builder_fault: why that can't be done here.
    """

    memory: Memory
    places: Mapping[str, Place]
    needs: Mapping[str, Sequence[Need]] = field(default_factory=dict)
    writable: Mapping[str, bool] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    cards: Sequence[Card] = ()
    silent_card: bool = False
    docker: DockerFacts | None = None
    builds: tuple[str, ...] = ()
    builder_fault: str | None = None
    opened_bytes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    gated: Sequence[Gated] = ()


def gather(session: Session, dataset: Dataset | NotPrepared | None) -> Facts:
    """Ask this machine, and the Hub where a gated model has to be fetched. dataset: None where it can't be read."""
    arguments = session.arguments
    docker = None if arguments.launcher == "process" else read_docker()
    needs = find_missing(session, dataset)
    builds = tuple(name for name, wanted in needs.items() if any(need.place == IMAGES for need in wanted))
    folders = {"cache": arguments.cache, "data": arguments.data, "results": arguments.results}
    places = {name: find_place(path) for name, path in folders.items()}
    if session.launcher.name == "docker":
        root = docker.data_root if docker else None
        places[IMAGES] = Place(Path(IMAGES), None, None) if root is None else find_place(Path(root), must_exist=True)
    cards = read_cards(session.hardware.uuids)
    return Facts(
        memory=_device_memory(session, cards),
        places=places,
        needs=needs,
        writable={name: is_writable(folders[name]) for name in ("results", "cache")},
        limits=read_limits(),
        cards=cards,
        silent_card=session.hardware.gpu.device == "cpu" and not detect_gpus() and has_nvidia_card(),
        docker=docker,
        builds=() if arguments.pull else builds,
        builder_fault=builder_fault() if builds and not arguments.pull else None,
        opened_bytes=prepared_bytes(session),
        gated=ask(repositories_to_fetch(session)),
    )


def _device_memory(session: Session, cards: Sequence[Card]) -> Memory:
    hardware = session.hardware
    if hardware.gpu.device == "cpu":
        return main_memory()
    sizes = {card.memory_bytes for card in cards if card.memory_bytes is not None}
    if sizes:
        return Memory(tuple(sizes), max(card.used_bytes or 0 for card in cards))
    listed = session.catalog.gpus.get(hardware.gpu.name)
    return Memory(tuple(round(size * GIB) for size in listed.memory_gib) if listed else ())
