"""What a job costs: money by a price that the user gives, and energy by what the driver metered."""

SECONDS_PER_HOUR = 3600
DOCUMENTS = 1000


def cost_per_1000(price_per_hour: float | None, docs_per_s: float | None) -> float | None:
    """The price of 1,000 documents, in the currency of price_per_hour; loading and compiling are not in it.

    None without a price or a speed.
    """
    if price_per_hour is None or not docs_per_s:
        return None
    return price_per_hour * DOCUMENTS / (docs_per_s * SECONDS_PER_HOUR)


def energy_per_document(energy_j: float | None, docs: int | None) -> float | None:
    """Joules a document, of the timed section; None where energy wasn't metered or nothing was done."""
    if energy_j is None or not docs:
        return None
    return energy_j / docs
