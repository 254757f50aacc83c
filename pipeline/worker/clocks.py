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


def throttling(library: Any, handle: Any) -> tuple[str, ...]:
    """What holds the clocks down now, in words; empty where nothing does, or the driver doesn't tell.

    library: pynvml, initialised. The power limit counts unless the user set it below the card's own.
    """
    try:
        bits = library.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        found = [words for bit, words in FORCED.items() if bits & bit]
        if bits & POWER_LIMIT and _is_own_limit(library, handle):
            found.append(AT_POWER_LIMIT)
    except library.NVMLError:
        return ()
    return tuple(found)


def _is_own_limit(library: Any, handle: Any) -> bool:
    enforced: int = library.nvmlDeviceGetEnforcedPowerLimit(handle)
    own: int = library.nvmlDeviceGetPowerManagementDefaultLimit(handle)
    return enforced >= own
