"""What names, paths and words from configuration and job files may look like, since they become paths and arguments.

Each type below is text with a rule. codec.decode holds a dataclass's fields against the rules of their types, so what
was read from a file leaves no folder and is no option of a command that it is handed to.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pipeline.errors import UsageError

LONGEST_NAME = 128
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True)
class Pattern:
    """A rule: the whole text matches. mend: what to use, in words."""

    pattern: str
    mend: str
    longest: int = 1024

    def check(self, text: str, where: str) -> None:
        """Raise UsageError for text that doesn't match. where: how the error names the place."""
        if len(text) > self.longest:
            raise UsageError(f"{where}: has {len(text)} characters; use {self.longest} at most")
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise UsageError(f"{where}: {text!r} can't be used; {self.mend}")


@dataclass(frozen=True)
class Inside:
    """A rule: a relative path with forward slashes that stays inside the folder that it starts from."""

    def check(self, text: str, where: str) -> None:
        """As Pattern.check."""
        path = PurePosixPath(text)
        printable = all(character.isprintable() for character in text)
        outside = path.is_absolute() or ".." in path.parts or "\\" in text
        if not printable or outside or not path.parts or path.as_posix() != text:
            raise UsageError(
                f"{where}: {text!r} can't be used; name a path inside its folder, without '..' or '/' first"
            )


_NAMES = Pattern(_NAME, "use letters, digits, dots, dashes and underscores, a letter or digit first", LONGEST_NAME)
_VERSION = r"[A-Za-z0-9][A-Za-z0-9.+!_-]*"

Name = Annotated[str, _NAMES]
"""Of an experiment, a model, a run, a file: one component of a path, and never hidden."""
ImageName = Annotated[str, Pattern(r"[a-z0-9][a-z0-9._-]*", "use small letters, digits, dots, dashes", LONGEST_NAME)]
Identifier = Annotated[str, Pattern(r"[a-z][a-z0-9_]*", "name a Python module: small letters, digits, underscores")]
RelativePath = Annotated[str, Inside()]
Sha256 = Annotated[str, Pattern(r"[0-9a-f]{64}", "write the SHA-256 as 64 hexadecimal digits")]
RepoId = Annotated[str, Pattern(rf"{_NAME}/{_NAME}", "name a repository on the Hub as owner/name")]
Revision = Annotated[
    str, Pattern(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*", "name a commit, or a branch or tag, which is then pinned")
]
Requirement = Annotated[
    str, Pattern(rf"{_NAME}=={_VERSION}", "name one package and its exact version, package==1.0, and nothing else")
]
PackageName = Annotated[str, Pattern(_NAME, "use a package's name alone")]
SystemPackage = Annotated[str, Pattern(r"[a-z0-9][a-z0-9+.-]*", "use the name of a Debian package alone")]
MinorVersion = Annotated[str, Pattern(r"\d+\.\d+", "write two numbers, such as 3.11")]
ImageReference = Annotated[str, Pattern(r"[a-z0-9][A-Za-z0-9._:/@-]*", "name a container image: repository:tag@digest")]
Url = Annotated[str, Pattern(r"https?://[^\s\"'`$\\@]+", "write a URL, https://…, without a user name or password")]
Variable = Annotated[str, Pattern(r"[A-Z_a-z][A-Z_a-z0-9]*", "use letters, digits and underscores")]
Line = Annotated[str, Pattern(r"[^\x00-\x1f\x7f]*", "use one line of printable text")]


def check_name(text: str, where: str) -> str:
    """The text, if it is a Name; else a UsageError. For text that codec.decode did not read."""
    _NAMES.check(text, where)
    return text


def require_inside(path: Path, root: Path, where: str) -> Path:
    """The path with its links followed; a UsageError if that leads out of the folder root."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root.resolve()):
        raise UsageError(
            f"{where}: {path} leads out of {root} through a link; put the files themselves there, or mount them"
        )
    return resolved
