"""The project's YAML files, read strictly: only plain values, and nothing that stands for more than it says."""

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import UsageError
from pipeline.files import read_bytes
from pipeline.plain import DEEPEST, not_utf8, require_plain, shown

LARGEST_BYTES = 1 << 18
"""PyYAML takes some seconds for it."""
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


def read_yaml(path: Path) -> dict[str, Any]:
    """The fields at the top of a YAML file. A UsageError names the file, the line where it can, and the fault."""
    content = read_bytes(path, LARGEST_BYTES)
    try:
        value = copy.deepcopy(_parse(content))
    except UnicodeDecodeError as error:
        raise UsageError(not_utf8(str(path), error)) from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UsageError(f"{path}: not valid YAML ({line}{error.problem or error.context})") from error
    except (yaml.YAMLError, ValueError) as error:  # PyYAML's constructors of numbers raise ValueError
        raise UsageError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a mapping at the top")
    require_plain(value, str(path))
    return value


@lru_cache(maxsize=32)
def _parse(content: bytes) -> Any:
    """Once for each content: a catalogue reads some files for several of its parts, and PyYAML is slow."""
    return yaml.load(content.decode(), Loader=_StrictLoader)


class _StrictLoader(yaml.SafeLoader):
    """Refuses aliases, which can make a few lines endless, tags, and keys that stand twice; dates are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class's own shape
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _SCALARS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _fault("aliases are not read; write it out", event)
        if getattr(event, "tag", None) is not None:
            raise _fault(f"tags such as {shown(event.tag)} are not read; leave it out", event)
        if self._depth == DEEPEST:
            raise _fault(f"nested more than {DEEPEST} levels deep", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _fault(f"{shown(key.value)} stands twice", key)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _fault(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
