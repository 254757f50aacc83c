"""What an image says of itself: the labels that every build of it gets, here or where images are published.

What is the same for every variant (title, licences) and the revision stand in images/Dockerfile.
"""

import os
import tomllib
from collections.abc import Mapping

from pipeline.entries import Image, Variant
from pipeline.host.docker.images import BASE_LABEL, CONTENT_LABEL, content
from pipeline.plan import REPOSITORY

OCI = "org.opencontainers.image"


def labels(image: Image, variant: Variant, base: str, source: str | None = None) -> Mapping[str, str]:
    """By name. base: the image that it is built over. source: the URL of this repository, where one is known."""
    _, _, digest = base.partition("@")
    given = {
        CONTENT_LABEL: content(image, variant),
        BASE_LABEL: base,
        f"{OCI}.base.digest": digest,
        f"{OCI}.version": project_version(),
        f"{OCI}.description": image.description,
        f"{OCI}.source": source,
    }
    return {name: value for name, value in given.items() if value}


def source_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """The URL of this repository where GitHub builds it; None elsewhere, since a clone can't know whose copy it is."""
    server, name = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
    return f"{server}/{name}" if server and name else None


def project_version() -> str:
    """The version of this checkout, from pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
