"""What --bertscore found, for people and for programs."""

from collections.abc import Sequence
from typing import Any

from pipeline import codec
from pipeline.figures import number
from pipeline.host.bertscore import Scored


def listing(scored: Sequence[Scored]) -> str:
    """A line a job."""
    return "\n".join(
        f"{one.job}: BERTScore F1 {number(one.summary.f1_mean, 3)}, "
        f"rescaled {number(one.summary.f1_rescaled_mean, 3)}, over {one.summary.documents} documents"
        for one in scored
    )


def as_json(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """The same as plain values, with all settings."""
    return [codec.encode(one) for one in scored]
