"""--pull: images come by the digests in images/digests.json, as the maintainer's command wrote it."""

import io
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from images.digests import main as digests_command
from pipeline.analysis.failures import classify, load_signatures
from pipeline.errors import BenchmarkError
from pipeline.host.docker.build import BuildOptions
from pipeline.host.docker.digests import Digests, read_digests
from pipeline.host.docker.images import CONTENT_LABEL, reference
from tests.containers.registry import absent, digest_of, index_of, push
from tests.containers.support import EnsureImage, MakeLauncher, variant_of

SMALL = variant_of("reference")
Lists = Callable[[str, str], Digests]


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    """Lists the small image as pushed to a registry (HOST/NAME) under a digest, by the maintainer's command."""

    def list_as(registry: str, digest: str) -> Digests:
        image, variant = SMALL
        path, base = tmp_path / "digests.json", variant.base or ""
        where = ["--registry", registry, "--digest", digest, "--base", base]
        assert digests_command(["--file", str(path), "add", image.name, variant.name, *where]) == 0
        return read_digests(path)

    return list_as


def test_a_listed_image_is_pulled_by_its_digest_and_not_built(
    registry: str, client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, lists: Lists,
    tmp_path: Path,
) -> None:  # fmt: skip
    by_digest = push(client, image("reference"), reference(*SMALL, registry))
    launcher = make_launcher(digests=lists(registry, digest_of(by_digest)), build_options=BuildOptions())
    with absent(client, "reference"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert launcher.ready(*SMALL)
        assert launcher.image_digest(*SMALL) == by_digest
        assert not (tmp_path / "log.txt").exists()  # nothing was built
        client.images.remove(by_digest, noprune=True)


def test_an_image_pushed_with_attestations_is_pulled_by_the_digest_of_its_index(
    registry: str, client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, lists: Lists,
    tmp_path: Path,
) -> None:  # fmt: skip
    by_digest = push(client, image("reference"), reference(*SMALL, f"{registry}/attested"))
    digest = index_of(by_digest, registry)
    assert digest != digest_of(by_digest)
    launcher = make_launcher(digests=lists(f"{registry}/attested", digest), build_options=BuildOptions())
    with absent(client, "reference"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert launcher.image_digest(*SMALL) == f"{by_digest.partition('@')[0]}@{digest}"
        client.images.remove(f"{by_digest.partition('@')[0]}@{digest}", noprune=True)


def test_a_mirror_stands_in_for_the_registry_that_is_listed(
    registry: str, client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, lists: Lists,
    tmp_path: Path,
) -> None:  # fmt: skip
    by_digest = push(client, image("reference"), reference(*SMALL, f"{registry}/mirror"))
    digests = lists("registry.invalid/owner", digest_of(by_digest))
    launcher = make_launcher(digests=digests, registry=f"{registry}/mirror", build_options=BuildOptions())
    with absent(client, "reference"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert launcher.image_digest(*SMALL) == by_digest
        client.images.remove(by_digest, noprune=True)


def test_an_image_of_other_content_than_listed_is_refused(
    registry: str, client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, lists: Lists,
    tmp_path: Path,
) -> None:  # fmt: skip
    recipe = f"FROM {image('reference')}\nLABEL {CONTENT_LABEL}=other\n"
    foreign, _ = client.images.build(fileobj=io.BytesIO(recipe.encode()), tag="foreign:1", rm=True)
    by_digest = push(client, "foreign:1", f"{reference(*SMALL, registry)}-foreign")
    client.images.remove(foreign.id, force=True)
    launcher = make_launcher(digests=lists(registry, digest_of(by_digest)), build_options=BuildOptions())
    with pytest.raises(BenchmarkError, match="labels name another content"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
    assert client.images.get(by_digest).id == foreign.id  # it came, and is not taken
    assert not launcher.ready(*SMALL)
    client.images.remove(foreign.id, force=True)


def test_a_listed_image_that_the_registry_lacks_is_a_failure_of_a_class_and_not_built(
    registry: str, client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, lists: Lists,
    tmp_path: Path,
) -> None:  # fmt: skip
    by_digest = push(client, image("reference"), reference(*SMALL, registry))
    nowhere = f"{registry}/nowhere"
    launcher = make_launcher(digests=lists(nowhere, digest_of(by_digest)), build_options=BuildOptions())
    with absent(client, "reference"):
        with pytest.raises(BenchmarkError, match="can't be pulled"):
            launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert not launcher.ready(*SMALL)
        image("reference")
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert f"{nowhere}/" in log and "naming to" not in log
    assert classify(log, load_signatures()).class_ == "image_unavailable"


def test_an_image_that_is_not_listed_is_built_and_the_log_says_why(
    client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, tmp_path: Path
) -> None:
    image("reference")
    launcher = make_launcher(digests=Digests())
    assert launcher.how(*SMALL) == "built: it isn't listed in images/digests.json"
    with absent(client, "reference"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert launcher.ready(*SMALL)
    said = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert said.splitlines()[0] == "built: it isn't listed in images/digests.json"
    assert "naming to" in said  # BuildKit's last word
