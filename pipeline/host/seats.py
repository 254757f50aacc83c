"""What a command's jobs compute on: the GPUs of this host, shares of its cores, or whatever a cluster gives them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Protocol

from pipeline.hardware import Hardware
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers import Place
from pipeline.host.stopping import Stop
from pipeline.host.watcher import Watcher
from pipeline.machine import usable_cores

PERIOD_S = 0.2


class Seats(Protocol):
    """Where jobs wait for what they compute on."""

    @property
    def at_once(self) -> int:
        """How many jobs run side by side at most."""

    @property
    def one_host(self) -> bool:
        """Whether they share this host."""

    def take(self, gpus: int, stop: Stop) -> AbstractContextManager[Place]:
        """Held while a job runs on so many GPUs. Raises KeyboardInterrupt once jobs are to end."""


@dataclass(frozen=True)
class Seat:
    """For one job at a time: a GPU, over all commands of this machine, or a share of the cores (empty: all)."""

    turn: GpuTurn
    cores: tuple[int, ...] = ()


class LocalSeats:
    """Seats of this host. Who came first sits first, so that a job that needs two GPUs is not passed by others.

    exclusive: one job at a time, whatever is free.
    """

    one_host = True

    def __init__(self, seats: Sequence[Seat], *, exclusive: bool = False) -> None:
        self.at_once = 1 if exclusive else len(seats)
        self._free = list(seats)
        self._order = {id(seat): number for number, seat in enumerate(seats)}
        self._changed = Condition()
        self._queue: list[object] = []

    @contextmanager
    def take(self, gpus: int, stop: Stop) -> Iterator[Place]:
        """The first that are free, as many as the job has GPUs, at least one."""
        taken = self._sit(max(1, gpus), stop)
        try:
            with ExitStack() as turns:
                for seat in taken:  # in one order everywhere, so that two commands never wait for each other
                    turns.enter_context(seat.turn.take(stop))
                uuids = tuple(seat.turn.uuid for seat in taken if seat.turn.uuid is not None)
                yield Place(gpus, uuids, taken[0].cores)
        finally:
            with self._changed:
                self._free = sorted([*self._free, *taken], key=lambda seat: self._order[id(seat)])
                self._changed.notify_all()

    def _sit(self, count: int, stop: Stop) -> list[Seat]:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or len(self._free) < count:
                    self._changed.wait(PERIOD_S)
                    stop.check()
                taken, self._free = self._free[:count], self._free[count:]
                return taken
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()


class ClusterSeats:
    """Seats of a cluster, whose own scheduler has jobs wait: all of them are handed over at once."""

    at_once = 256
    one_host = False

    @contextmanager
    def take(self, gpus: int, stop: Stop) -> Iterator[Place]:
        """At once."""
        stop.check()
        yield Place(gpus)


def seats_of(hardware: Hardware, watcher: Watcher, *, shards: int, exclusive: bool) -> LocalSeats:
    """One for each of the run's GPUs. On a CPU one for all jobs, or as many as there are shards and cores for them."""
    if hardware.uuids:
        return LocalSeats([Seat(GpuTurn(uuid, watcher)) for uuid in hardware.uuids], exclusive=exclusive)
    nowhere = GpuTurn(None, watcher)
    cores = usable_cores()
    if hardware.gpu.device == "cpu" and shards > 1 and not exclusive:
        shares = min(shards, len(cores))
        return LocalSeats([Seat(nowhere, cores[number::shares]) for number in range(shares)])
    return LocalSeats([Seat(nowhere)])
