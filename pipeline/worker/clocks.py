"""Why a GPU's clocks are lower than they could be: heat and power, as the driver tells (nvml.h, event reasons)."""

from typing import Any

FORCED = {
    0x08: "hardware slowdown (heat or power)",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Bits of the driver's answer. Idling, clocks that the user set and GPUs kept in step are others, and none of these."""

POWER_LIMIT = 0x04
AT_POWER_LIMIT = "the card's power limit"


def throttling(library: Any, handle: Any) -> tuple[str, ...] | None:
    """What holds the clocks down now, in words; empty where nothing does, None where the driver doesn't tell.

    library: pynvml, initialised. The power limit counts unless the user set it below the card's own, or it isn't known.
    """
    try:
        bits = library.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    except library.NVMLError:
        return None
    found = [words for bit, words in FORCED.items() if bits & bit]
    if bits & POWER_LIMIT and _is_own_limit(library, handle):
        found.append(AT_POWER_LIMIT)
    return tuple(found)


def _is_own_limit(library: Any, handle: Any) -> bool:
    try:
        enforced: int = library.nvmlDeviceGetEnforcedPowerLimit(handle)
        own: int = library.nvmlDeviceGetPowerManagementDefaultLimit(handle)
    except library.NVMLError:
        return False
    return enforced >= own
