"""What of the distribution's packages an image's build asks its package manager for."""

from collections.abc import Callable

import docker
import pytest

from tests.conftest import REPOSITORY

SCRIPT = "/mnt/system-packages.sh"
HAS, LACKS = "ca-certificates", "libnuma1"
# in its place on the PATH, a package manager that says what it was told
RUN = f"""
printf '#!/bin/sh\\necho apt-get "$@"\\n' > /usr/local/bin/apt-get
chmod +x /usr/local/bin/apt-get
sh {SCRIPT} """


@pytest.fixture(scope="module")
def told(client: docker.DockerClient, base: str) -> Callable[[str], list[str]]:
    """What apt-get is told, line by line, to have these packages in the base."""

    def ask(packages: str) -> list[str]:
        said = client.containers.run(
            base,
            [RUN + packages],
            entrypoint=["sh", "-euc"],
            network_mode="none",
            remove=True,
            volumes={str(REPOSITORY / "images" / "system-packages.sh"): {"bind": SCRIPT, "mode": "ro"}},
        )
        return bytes(said).decode().splitlines()

    return ask


def test_a_base_that_has_them_all_needs_no_package_manager(told: Callable[[str], list[str]]) -> None:
    assert told(HAS) == []
    assert told("") == []


def test_only_what_the_base_lacks_is_installed(told: Callable[[str], list[str]]) -> None:
    assert told(f"{HAS} {LACKS}") == ["apt-get update", f"apt-get install --yes --no-install-recommends {LACKS}"]
