"""What has to be fetched and built, against the room there is."""

from pathlib import Path

from pipeline.host.doctor.disk import Need, Place, disk_checks, find_place
from pipeline.host.doctor.examine import without_hopeless
from pipeline.spec import Check
from tests.machines import A100, make_session, statuses

GB = 10**9
IMAGES = "Docker's images"
VLLM = Need("image vllm (cu130)", IMAGES, 10 * GB)
TRANSFORMERS = Need("image transformers (cu130)", IMAGES, 6 * GB)
WEIGHTS = Need("hf weights", "cache", 13 * GB)
UNSIZED = Need("image flash-attn (cu130)", IMAGES, None)


def places(free: int, other: int | None = None) -> dict[str, Place]:
    """One file system, or with `other` one for the cache and another for images."""
    images = Place(Path("/images"), 1, free) if other is None else Place(Path("/images"), 2, other)
    return {"cache": Place(Path("/cache"), 1, free), IMAGES: images}


def failures(checks: list[Check]) -> dict[str, str]:
    return {check.subject: check.message for check in checks if check.status == "fail"}


def test_a_full_disk_fails_what_it_can_not_hold_and_names_it() -> None:
    checks = disk_checks({"none": [WEIGHTS]}, places(1 * GB))
    message = "no room for hf weights: 13.0 GB with what comes before it, 1.0 GB free at /cache"
    assert failures(checks) == {"none": message}
    [fault] = [check for check in checks if check.status == "fail"]
    assert fault.mend == "free some space, or move --cache DIR or Docker's data-root to another disk"


def test_images_and_weights_on_one_file_system_are_added_up() -> None:
    needs = {"vllm": [VLLM, WEIGHTS]}
    assert failures(disk_checks(needs, places(15 * GB))).keys() == {"vllm"}
    assert failures(disk_checks(needs, places(15 * GB, 15 * GB))) == {}


def test_what_two_experiments_share_is_needed_once() -> None:
    needs = {"none": [TRANSFORMERS, WEIGHTS], "4-bit": [TRANSFORMERS, WEIGHTS]}
    assert statuses(disk_checks(needs, places(40 * GB)), "disk") == {"/cache": "pass"}


def test_an_experiment_that_does_not_fit_leaves_its_room_to_the_next() -> None:
    needs = {"vllm": [VLLM], "none": [TRANSFORMERS]}
    assert failures(disk_checks(needs, places(7 * GB))).keys() == {"vllm"}


def test_room_that_is_nearly_taken_is_a_warning() -> None:
    assert statuses(disk_checks({"none": [WEIGHTS]}, places(15 * GB)), "disk") == {"/cache": "warn"}


def test_an_image_of_unknown_size_makes_no_failure_and_no_pass() -> None:
    assert statuses(disk_checks({"flash-attn": [UNSIZED]}, places(50 * GB)), "disk") == {"/cache": "unknown"}


def test_a_file_system_that_can_not_be_asked_is_unknown() -> None:
    elsewhere = {"cache": Place(Path("/cache"), 1, 50 * GB), IMAGES: Place(Path("images"), None, None)}
    assert statuses(disk_checks({"vllm": [VLLM]}, elsewhere), "disk") == {"/cache": "pass", "images": "unknown"}


def test_a_disk_that_is_too_small_skips_the_experiment_before_anything_is_fetched() -> None:
    session = make_session(A100, "none", "lead-3")
    checks = disk_checks({"none": [TRANSFORMERS, WEIGHTS], "lead-3": []}, places(2 * GB))
    left = [item.experiment.name for item in without_hopeless(session, checks).selected]
    assert left == ["lead-3"]


def test_a_folder_that_is_not_made_yet_lies_where_the_one_above_it_does(tmp_path: Path) -> None:
    place = find_place(tmp_path / "not" / "yet")
    assert place.device == tmp_path.stat().st_dev
    assert place.free_bytes
    assert find_place(tmp_path / "not" / "yet", must_exist=True).free_bytes is None
