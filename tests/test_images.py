"""The images' declarations and locks: complete in themselves, pinned, and compiled from what lies beside them."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.lock import header, requirement_files
from pipeline.catalog import IMAGES, load_catalog
from pipeline.entries import Image, Variant

PIN = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[^\s;,*]+) \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


@dataclass(frozen=True)
class Lock:
    """A variant's lock as text and as the pins in it."""

    image: Image
    variant: Variant
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines that pip reads."""
        return [line for line in self.text.splitlines() if line and not line.lstrip().startswith("#")]

    @property
    def pins(self) -> dict[str, str]:
        """Version by package name."""
        return {match["name"]: match["version"] for line in self.lines if (match := PIN.fullmatch(line))}


def normalised(name: str) -> str:
    """A package's name as an index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


COMPILERS_DRIVER = {"flash-attn-4": 575}
"""What the compiler that an engine brings asks for, where that is more than CUDA 12 does."""

CATALOG = load_catalog()
LOCKS = [
    Lock(image, variant, (IMAGES / image.name / variant.lock).read_text(encoding="utf-8"))
    for image in CATALOG.images.values()
    for variant in image.variants
]

every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.image.name}-{lock.variant.name}")


def test_every_folder_of_images_declares_itself() -> None:
    folders = {path.name for path in IMAGES.iterdir() if path.is_dir()} - {"__pycache__", "wheelhouse"}
    assert folders == set(CATALOG.images)


def test_every_experiments_image_provides_its_backend() -> None:
    wrong = [e.name for e in CATALOG.experiments.values() if CATALOG.images[e.image].provides != e.backend]
    assert wrong == []


def test_every_experiment_has_a_variant_for_the_device_it_needs() -> None:
    for experiment in CATALOG.experiments.values():
        devices = {variant.device for variant in CATALOG.images[experiment.image].variants}
        assert experiment.needs.device is None or experiment.needs.device in devices, experiment.name


def test_every_lock_file_belongs_to_a_variant() -> None:
    declared = {IMAGES / lock.image.name / lock.variant.lock for lock in LOCKS}
    assert set(IMAGES.glob("*/*.lock")) == declared


def test_every_cuda_variant_names_its_driver_and_no_other_does() -> None:
    assert [
        lock.variant.name for lock in LOCKS if (lock.variant.device == "cuda") != bool(lock.variant.min_driver)
    ] == []


def test_every_cuda_variant_names_its_cuda_and_the_architectures_built_and_no_other_does() -> None:
    for lock in LOCKS:
        cuda = lock.variant.device == "cuda"
        assert (bool(lock.variant.cuda), bool(lock.variant.architectures)) == (cuda, cuda), lock.image.name


def test_a_variants_cuda_is_its_locks() -> None:
    for lock in LOCKS:
        if lock.variant.cuda is not None:
            runtime = {name: pin for name, pin in lock.pins.items() if name.startswith("nvidia-cuda-runtime")}
            assert [pin.startswith(f"{lock.variant.cuda}.") for pin in runtime.values()] == [True], lock.image.name


def test_every_images_engine_stands_in_its_locks() -> None:
    for lock in LOCKS:
        names = {lock.image.engine, f"{lock.image.engine}-{lock.variant.device}"}
        assert lock.image.engine is None or names & lock.pins.keys(), f"{lock.image.name} ({lock.variant.name})"


def test_cuda_12_stays_with_an_image_as_long_as_cuda_13_needs_a_newer_driver() -> None:
    for image in CATALOG.images.values():
        lowest = [variant.min_driver for variant in image.variants if variant.min_driver]
        assert lowest == [] or min(lowest) <= COMPILERS_DRIVER.get(image.name, 525), image.name


def test_what_a_build_is_told_is_no_variable_of_a_process() -> None:
    for image in CATALOG.images.values():
        assert image.environment.keys().isdisjoint(image.build_environment)


def test_what_a_build_alone_needs_is_left_out_of_what_runs() -> None:
    for lock in LOCKS:
        twice = set(lock.variant.system_packages) & set(lock.variant.build_system_packages)
        assert twice == set(), f"{lock.image.name} ({lock.variant.name})"


@every_lock
def test_a_lock_is_up_to_date_with_what_it_is_compiled_from(lock: Lock) -> None:
    assert lock.text.startswith(header(lock.variant, IMAGES / lock.image.name)), "run `make lock`"


@every_lock
def test_a_lock_holds_pins_and_hashes_and_nothing_else(lock: Lock) -> None:
    other = [line for line in lock.lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)]
    assert lock.pins
    assert other == []


@every_lock
def test_a_lock_names_no_address_and_no_absolute_path(lock: Lock) -> None:
    assert re.findall(r"\w+://\S+|(?<![\w.])/\S+|--\w*(?:index|find-links)\S*", lock.text) == []


@every_lock
def test_every_pin_of_a_lock_has_a_hash(lock: Lock) -> None:
    unhashed = [
        line for line, after in zip(lock.lines, [*lock.lines[1:], ""], strict=True)
        if PIN.fullmatch(line) and not HASH.fullmatch(after)
    ]  # fmt: skip
    assert unhashed == []


@every_lock
def test_a_lock_contains_its_requirements(lock: Lock) -> None:
    for path in requirement_files(IMAGES / lock.image.name / f"{lock.variant.name}.in"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r ")):
                name, version = line.split("==")
                assert lock.pins.get(normalised(name)) == version, f"{path}: {line}"


@every_lock
def test_a_lock_leaves_out_what_its_variant_excludes(lock: Lock) -> None:
    path = IMAGES / lock.image.name / f"{lock.variant.name}.excludes"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    assert lock.pins.keys().isdisjoint(line for line in lines if not line.startswith("#"))


@every_lock
def test_packages_to_be_built_stand_in_the_lock(lock: Lock) -> None:
    assert set(lock.variant.build_packages) <= lock.pins.keys()


@every_lock
def test_only_a_cuda_lock_brings_cuda(lock: Lock) -> None:
    assert any(name.startswith("nvidia-cu") for name in lock.pins) == (lock.variant.device == "cuda")


@pytest.mark.parametrize("package", ["pyyaml", "rouge-score", "nltk"])
def test_all_locks_agree_on_what_scores(package: str) -> None:
    assert len({lock.pins.get(package) for lock in LOCKS} - {None}) == 1
    assert [lock.image.name for lock in LOCKS if package not in lock.pins] == []


def test_an_included_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.in").write_text("-r b.in\nx==1\n")
    (tmp_path / "b.in").write_text("y==2\n")
    assert requirement_files(tmp_path / "a.in") == [tmp_path / "a.in", tmp_path / "b.in"]
