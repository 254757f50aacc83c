"""images/digests.json, written from what was pushed: `python -m images.digests add` and `merge`.

`add` lists one image that a registry has; `merge` takes over the entries of other such files, as the publishing
workflow's jobs leave them. Content and version are this checkout's: run it from the one that the image was built from.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import codec
from pipeline.catalog import find, load_catalog
from pipeline.errors import BenchmarkError
from pipeline.files import write_json
from pipeline.host.docker.digests import PATH, Digests, Published, check, read_digests
from pipeline.host.docker.images import content, repository
from pipeline.host.docker.labels import project_version


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 for an entry that can't be listed."""
    options = _parser().parse_args(arguments)
    try:
        listed = read_digests(options.file) if options.file.exists() else Digests()
        added = [_pushed(options)] if options.action == "add" else [read_digests(path) for path in options.entries]
        for digests in added:
            listed = merged(listed, digests)
        write_json(options.file, codec.encode(listed))
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def merged(listed: Digests, added: Digests) -> Digests:
    """Both, sorted by image and variant; of one that both list, the added entry."""
    names = sorted({*listed.images, *added.images})
    both = {name: {**listed.images.get(name, {}), **added.images.get(name, {})} for name in names}
    return dataclasses.replace(listed, images={name: dict(sorted(both[name].items())) for name in names})


def _pushed(options: argparse.Namespace) -> Digests:
    image = find(load_catalog().images, options.image, "image")
    variant = find({item.name: item for item in image.variants}, options.variant, f"variant of {image.name}")
    entry = Published(
        repository=repository(image, options.registry),
        digest=options.digest,
        content=content(image, variant),
        version=project_version(),
        revision=options.revision,
        base=options.base,
        build_base=options.build_base,
    )
    check(entry, f"{image.name} {variant.name}")
    return Digests(images={image.name: {variant.name: entry}})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m images.digests", description="Write images/digests.json.")
    parser.add_argument("--file", type=Path, default=PATH, help="another file to write (default: %(default)s)")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="list one image that was pushed")
    add.add_argument("image")
    add.add_argument("variant")
    add.add_argument("--registry", required=True, metavar="HOST/NAME", help="where it was pushed to")
    add.add_argument("--digest", required=True, metavar="sha256:…", help="what the registry has it under")
    add.add_argument("--base", required=True, metavar="NAME@sha256:…", help="what it was built over")
    add.add_argument("--build-base", metavar="NAME@sha256:…", help="what its packages were built in, if another")
    add.add_argument("--revision", metavar="COMMIT", help="the commit that it was built from")
    merge = actions.add_parser("merge", help="take over the entries of other files of this kind")
    merge.add_argument("entries", nargs="+", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
