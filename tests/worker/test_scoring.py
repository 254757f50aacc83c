"""What a job's outputs get once the engine is closed."""

from pipeline.documents import Document
from pipeline.measures import DocumentResult
from pipeline.worker.outcome import score

DOCUMENT = "Fill the kettle with cold water. Boil it, then pour the water over the tea. Wait."


def test_each_output_has_rouge_and_signs_of_degeneracy_and_one_that_was_not_generated_has_none() -> None:
    chosen = [Document(name, DOCUMENT, "Boil water and pour it over tea.") for name in ("copy", "loop", "long")]
    results = [
        DocumentResult("copy", "Boil it, then pour the wat", "length"),
        DocumentResult("loop", "pour tea " * 5, "stop"),
        DocumentResult("long", "", "too_long"),
    ]
    scored: list[DocumentResult] = []
    quality = score(zip(results, chosen, strict=True), 2, scored.append)
    copy, loop, long = scored
    assert copy.rouge1_f1 is not None and copy.rouge1_f1 > 0
    assert (copy.coverage, copy.density, copy.repetition) == (5 / 6, 25 / 6, 0.0)
    assert (loop.coverage, loop.density, loop.repetition) == (1.0, 1.0, 1 - 2 / 7)
    assert long == results[2]
    assert (quality.copied_outputs, quality.hit_limit, quality.empty_outputs) == (1, 1, 0)
    assert (quality.coverage_mean, quality.repetition_mean) == ((5 / 6 + 1) / 2, (1 - 2 / 7) / 2)
