"""docs/adding-a-backend.md, followed to the letter in a copy of the repository, as far as it goes without Docker."""

import json

import yaml

from pipeline.plan import REPOSITORY
from tests.walkthrough import Reader, read_steps

ADAPTER = "pipeline/worker/backends/textrank.py"


def test_the_lock_is_complete_and_every_file_has_its_hash(added_backend: Reader) -> None:
    lock = (added_backend.folder / "images" / "textrank" / "cpu.lock").read_text()
    assert {"summa==1.2.0", "scipy", "pyyaml"} <= {word for line in lock.splitlines() for word in (
        line.split(" ")[0], line.split("==")[0])}  # fmt: skip
    assert lock.count("--hash=sha256:") >= lock.count("==")


def test_the_suites_took_the_new_backend_up_by_themselves(added_backend: Reader) -> None:
    said = added_backend.run("python -m pytest --collect-only tests/conformance tests/test_images.py -k textrank")
    assert "test_every_document_gets_exactly_one_text[textrank]" in said
    assert "test_a_lock_holds_pins_and_hashes_and_nothing_else[textrank-cpu]" in said


def test_the_run_left_a_scored_result_beside_the_reference_line(added_backend: Reader) -> None:
    everything = [json.loads(path.read_text()) for path in added_backend.folder.glob("results/*/*/result.json")]
    # the image alone, which another test runs in the same copy, leaves one more
    results = [result for result in everything if result["job"]["launcher"] == "process"]
    assert {result["job"]["experiment"]: result["status"] for result in results} == {"lead-3": "ok", "textrank": "ok"}
    [textrank] = [result for result in results if result["job"]["experiment"] == "textrank"]
    assert textrank["quality"]["rouge1_f1"] > 0.1
    assert textrank["settings"]["engine_args"] == {"words": 50}
    assert textrank["environment"]["packages"]["summa"] == "1.2.0"


def test_the_new_image_is_in_the_files_that_are_made(added_backend: Reader) -> None:
    services = yaml.safe_load((added_backend.folder / "compose.yaml").read_text())["services"]
    assert services["textrank-cpu"]["image"] == "summarisation-benchmark/textrank:cpu"
    assert "| llama-cpp, textrank |" in (added_backend.folder / "docs" / "why-images.md").read_text()


def test_what_the_document_shows_keeps_to_the_projects_style(added_backend: Reader) -> None:
    added_backend.run(f"ruff check {ADAPTER} && ruff format --check {ADAPTER}")
    added_backend.run(f"mypy --follow-imports=silent {ADAPTER}")


def test_the_base_that_the_document_names_is_the_one_in_use() -> None:
    text = (REPOSITORY / "docs" / "adding-a-backend.md").read_text(encoding="utf-8")
    [declared] = [step.text for step in read_steps(text) if step.path == "images/textrank/image.yaml"]
    reference = yaml.safe_load((REPOSITORY / "images" / "reference" / "image.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(declared)["variants"]["cpu"]["base"] == reference["variants"]["cpu"]["base"]
