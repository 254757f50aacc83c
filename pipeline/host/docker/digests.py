"""images/digests.json: the images that were published, each by the digest that a registry gave it.

`--pull` fetches what it lists, and nothing by a tag. The publishing workflow writes it (images/digests.py).
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import codec
from pipeline.catalog import IMAGES
from pipeline.entries import Image, Variant
from pipeline.errors import UsageError
from pipeline.files import read_json
from pipeline.host.docker.images import content, repository

SCHEMA_VERSION = 1
PATH = IMAGES / "digests.json"
ABOUT = "what --pull fetches, by image and variant; one that is not listed was never published (docs/publishing.md)"

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CONTENT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Published:
    """One published image.

    repository: its name in a registry, without a tag. digest: what the registry has it under. content: the digest of
    what it was built from (images.content). version: of this project. revision: the commit that it was built from.
    base, build_base: the images that it was built over, with the digests that their names had then.
    """

    repository: str
    digest: str
    content: str
    version: str
    revision: str | None
    base: str
    build_base: str | None = None

    @property
    def reference(self) -> str:
        """What it is pulled by."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True)
class Unpublished:
    """An image that no registry has for this checkout, and why."""

    reason: str


@dataclass(frozen=True)
class Digests:
    """The file's content: image -> variant -> what was published. about: for its reader."""

    schema_version: int = SCHEMA_VERSION
    about: str = ABOUT
    images: Mapping[str, Mapping[str, Published]] = field(default_factory=dict)

    def find(
        self, image: Image, variant: Variant, base: str | None = None, registry: str | None = None
    ) -> Published | Unpublished:
        """What was published of this checkout's content.

        base: the only one that will do, None for whichever it is. registry: a mirror (HOST/NAME) of the registry that
        the file names.
        """
        entry = self.images.get(image.name, {}).get(variant.name)
        if entry is None:
            return Unpublished("it isn't listed in images/digests.json")
        if entry.content != content(image, variant):
            return Unpublished(f"the one in images/digests.json ({entry.version}) is of other code or packages")
        if base not in (None, entry.base):
            return Unpublished(f"the one in images/digests.json is over {entry.base}, not over {base}")
        return dataclasses.replace(entry, repository=repository(image, registry)) if registry else entry


def read_digests(path: Path = PATH) -> Digests:
    """Read and check the file; a UsageError names the file, the entry and the mend."""
    value = read_json(path)
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: schema_version {version!r} can't be read, this checkout reads {SCHEMA_VERSION}; "
            "take the file of the same version as the code"
        )
    digests = codec.decode(Digests, value, str(path))
    for image, variants in digests.images.items():
        for variant, entry in variants.items():
            check(entry, f"{path}: images.{image}.{variant}")
    return digests


def check(entry: Published, where: str) -> None:
    """Raise a UsageError for what no registry would have given. where: how it names the entry."""
    bases = {"base": entry.base, "build_base": entry.build_base}
    faults = {
        "digest": DIGEST.fullmatch(entry.digest) is None,
        "content": _CONTENT.fullmatch(entry.content) is None,
        "repository": not entry.repository or "@" in entry.repository,
        **{name: base is not None and DIGEST.fullmatch(base.partition("@")[2]) is None for name, base in bases.items()},
    }
    for name, faulty in faults.items():
        if faulty:
            raise UsageError(
                f"{where}.{name}: {getattr(entry, name)!r} is not {_EXPECTED[name]}; take the file as it was "
                "published, or write the entry again with `python -m images.digests add`"
            )


_EXPECTED = {
    "digest": "sha256: and 64 hexadecimal digits",
    "content": "64 hexadecimal digits",
    "repository": "a name in a registry, without a digest",
    "base": "an image's name with its digest (NAME@sha256:…)",
    "build_base": "an image's name with its digest (NAME@sha256:…)",
}
