"""What the driver's clock event reasons come to, with answers as nvml.h has them."""

from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.worker.clocks import AT_POWER_LIMIT, throttling
from pipeline.worker.telemetry import PeakSampler

IDLE, USERS_CLOCKS, POWER_LIMIT, THERMAL, BRAKE = 0x01, 0x02, 0x04, 0x20, 0x80


@dataclass
class Driver:
    """pynvml with one card; limits in milliwatts. fails: it can't tell, as of cards before Kepler.

    limits_fail: it can't tell them, as of cards whose power it doesn't manage.
    """

    reasons: int = 0
    limit: int = 300_000
    own_limit: int = 300_000
    fails: bool = False
    limits_fail: bool = False

    class NVMLError(Exception):
        """Its own kind of error."""

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle: Any) -> int:
        if self.fails:
            raise self.NVMLError
        return self.reasons

    def nvmlDeviceGetEnforcedPowerLimit(self, _handle: Any) -> int:
        if self.limits_fail:
            raise self.NVMLError
        return self.limit

    def nvmlDeviceGetPowerManagementDefaultLimit(self, _handle: Any) -> int:
        return self.own_limit


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (0, ()),
        (IDLE, ()),
        (USERS_CLOCKS, ()),
        (THERMAL, ("software thermal slowdown",)),
        (IDLE | THERMAL | BRAKE, ("software thermal slowdown", "power brake")),
        (POWER_LIMIT, (AT_POWER_LIMIT,)),
    ],
)
def test_heat_and_power_are_reasons_and_idling_and_the_users_clocks_are_not(
    reasons: int, words: tuple[str, ...]
) -> None:
    assert throttling(Driver(reasons), "card") == words


def test_a_power_limit_that_the_user_lowered_is_no_reason() -> None:
    assert throttling(Driver(POWER_LIMIT, limit=200_000), "card") == ()


def test_a_power_limit_that_is_not_known_leaves_the_other_reasons() -> None:
    assert throttling(Driver(THERMAL | POWER_LIMIT, limits_fail=True), "card") == ("software thermal slowdown",)


def test_a_driver_that_can_not_tell_gives_no_reason() -> None:
    assert throttling(Driver(THERMAL, fails=True), "card") is None


def test_the_readings_that_had_a_reason_are_counted() -> None:
    answers = iter([(), ("power brake",)])
    with PeakSampler(lambda: None, lambda: next(answers)) as sampler:
        pass
    assert (dict(sampler.throttled), sampler.readings) == ({"power brake": 1}, 2)


def test_a_reading_that_the_driver_does_not_answer_is_not_counted() -> None:
    answers = iter([None, ("power brake",)])
    with PeakSampler(lambda: None, lambda: next(answers)) as sampler:
        pass
    assert (dict(sampler.throttled), sampler.readings) == ({"power brake": 1}, 1)
