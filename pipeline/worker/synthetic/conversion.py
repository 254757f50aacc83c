"""One converter tried out on the synthetic model in a process of its own, as trial.py tries an experiment.

`python -m pipeline.worker.synthetic.conversion FOLDER NAME` leaves an Outcome in FOLDER/outcome.json, or a traceback.
"""

import importlib
import sys
from pathlib import Path

from pipeline import codec
from pipeline.files import write_json
from pipeline.worker import synthetic
from pipeline.worker.convert import Converter
from pipeline.worker.convert.perplexity import DOCUMENTS as HELD_OUT
from pipeline.worker.synthetic.trial import DOCUMENTS, OUTCOME_FILE, WRONG_OUTPUT, Outcome

# Twice as many as are held out, each longer than a window for calibrating.
TEXTS = [f"{number}. {DOCUMENTS[1].document} " * 4 for number in range(2 * HELD_OUT)]


def try_out(name: str, folder: Path) -> Outcome:
    """Quantise the synthetic model and look at what it came to. Passes on what the converter raises."""
    converter: Converter = importlib.import_module(f"pipeline.worker.convert.{name}").convert
    source, target = folder / "source", folder / "target"
    source.mkdir()
    target.mkdir()
    made = converter(synthetic.write("hf", source), target, TEXTS, synthetic.MODEL)
    if made.perplexity is None or made.perplexity_original is None:
        return Outcome(fault="the converter measured no perplexity", fix=WRONG_OUTPUT)
    return Outcome(f"perplexity {made.perplexity:.0f}, {made.perplexity_original:.0f} before; {made.made_by}")


if __name__ == "__main__":
    own = Path(sys.argv[1])
    write_json(own / OUTCOME_FILE, codec.encode(try_out(sys.argv[2], own)))
