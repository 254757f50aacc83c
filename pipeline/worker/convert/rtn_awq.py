"""From a transformers folder to an AWQ checkpoint by rounding to nearest: no calibration, and labelled as that."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.entries import Model
from pipeline.worker.convert import Conversion, awq_layout, checkpoint
from pipeline.worker.convert.int4 import BITS, GROUP
from pipeline.worker.convert.perplexity import check_perplexity

MADE_BY = f"round-to-nearest, {BITS}-bit, group {GROUP}, not calibrated, in AWQ layout"


def convert(source: Path, target: Path, texts: Sequence[str], model: Model) -> Conversion:
    """Pack every linear layer of the decoder; embeddings, norms and the output head stay as they are.

    See Converter. Raises BenchmarkError for a model whose layers are named in another way, and for a perplexity that
    is no number.
    """
    checkpoint.write_rounded(source, target, awq_layout)
    before, after = checkpoint.perplexities(source, target, awq_layout, texts, model.bos_id)
    check_perplexity(before, after)
    return Conversion(MADE_BY, after, before)
