"""Who computes on what, and who waits: seats whose GPUs are names; their locks are real."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.hardware import Hardware
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers import Place
from pipeline.host.seats import ClusterSeats, LocalSeats, Seat, seats_of
from pipeline.host.stopping import Stop
from pipeline.machine import usable_cores
from pipeline.report.watch import LineWatcher
from pipeline.spec import JobGpu

CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
MakeSeats = Callable[..., LocalSeats]


@pytest.fixture
def seats(tmp_path: Path) -> MakeSeats:
    """Of that many GPUs, which tell nothing of their memory."""

    def make(count: int, **how: bool) -> LocalSeats:
        turns = [
            GpuTurn(f"GPU-{number}", LineWatcher(), lambda _: None, lambda _: [], tmp_path) for number in range(count)
        ]
        return LocalSeats([Seat(turn) for turn in turns], **how)

    return make


def test_jobs_side_by_side_have_a_gpu_each(seats: MakeSeats) -> None:
    two, stop = seats(2), Stop()
    with two.take(1, stop) as first, two.take(1, stop) as second:
        assert (first, second) == (Place(1, ("GPU-0",)), Place(1, ("GPU-1",)))


def test_a_gpu_that_was_given_back_is_taken_again(seats: MakeSeats) -> None:
    two, stop = seats(2), Stop()
    with ExitStack() as rest:
        with two.take(1, stop):
            rest.enter_context(two.take(1, stop))
        with two.take(1, stop) as again:
            assert again.uuids == ("GPU-0",)


def test_a_job_that_needs_two_waits_for_two_and_is_not_passed_by_the_next(seats: MakeSeats) -> None:
    two, stop, order = seats(2), Stop(), []

    def job(name: str, gpus: int) -> None:
        with two.take(gpus, stop) as place:
            order.append((name, len(place.uuids)))

    with two.take(1, stop):
        pair = threading.Thread(target=job, args=("pair", 2))
        pair.start()
        time.sleep(0.1)
        single = threading.Thread(target=job, args=("single", 1))
        single.start()
        time.sleep(0.3)
        assert order == []  # one GPU is free all the time
    pair.join()
    single.join()
    assert order == [("pair", 2), ("single", 1)]


def test_exclusive_runs_one_at_a_time(seats: MakeSeats) -> None:
    assert seats(2, exclusive=True).at_once == 1


def test_who_waits_for_a_seat_ends_when_jobs_are_to_end(seats: MakeSeats) -> None:
    one, stop = seats(1), Stop()
    with one.take(1, stop):
        threading.Timer(0.1, stop.ask).start()
        with pytest.raises(KeyboardInterrupt), one.take(1, stop):
            pass
    with one.take(1, Stop()) as place:
        assert place.uuids == ("GPU-0",)


def test_a_cpu_has_one_seat_with_all_its_cores() -> None:
    alone = seats_of(CPU, LineWatcher(), shards=1, exclusive=False)
    with alone.take(0, Stop()) as place:
        assert (alone.at_once, place) == (1, Place())


def test_shards_on_a_cpu_have_a_share_of_its_cores_each() -> None:
    shared, cores, stop = seats_of(CPU, LineWatcher(), shards=2, exclusive=False), usable_cores(), Stop()
    assert shared.at_once == min(2, len(cores))
    with ExitStack() as held:
        places = [held.enter_context(shared.take(0, stop)) for _ in range(shared.at_once)]
    assert sorted(core for place in places for core in place.cores) == list(cores)


def test_a_cluster_is_handed_jobs_at_once_and_finds_their_gpus_itself() -> None:
    with ClusterSeats().take(2, Stop()) as place:
        assert place == Place(2)
