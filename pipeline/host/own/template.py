"""A chat template as the two halves that stand around one message of the user, which is all that a prompt here is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.errors import UsageError
from pipeline.figures import one_line

MESSAGES = ("First stand-in for the message of a user", "Another, of other words and length.")
"""A template that writes anything else around one than around the other can't be cut in two halves."""
LARGEST_TEMPLATE = 200_000
"""Characters; the longest published ones have a tenth of that."""


@dataclass(frozen=True)
class Halves:
    """What stands before and behind the message. starts_with_bos: left out of prefix, since every engine is fed one."""

    prefix: str
    suffix: str
    starts_with_bos: bool


def halves(template: str, tokens: Mapping[str, str], where: str) -> Halves:
    """The template cut at the user's message, with the turn of the assistant begun.

    tokens: bos_token and the like, as far as the tokenizer has them. It is told no date and no tools: a template that
    asks for today's date writes the one that it has for that case. A UsageError says why one can't be cut.
    """
    if len(template) > LARGEST_TEMPLATE:
        raise UsageError(f"{where}: chat template: has {len(template)} characters; {LARGEST_TEMPLATE} at most are read")
    first, other = (_cut(template, tokens, message, where) for message in MESSAGES)
    if first != other:
        raise UsageError(f"{where}: chat template: what it writes around a message depends on the message; {_MEND}")
    bos = tokens.get("bos_token", "")
    starts = bool(bos) and first[0].startswith(bos)
    return Halves(first[0].removeprefix(bos) if starts else first[0], first[1], starts)


_MEND = "add the model to pipeline/config/models.yaml with prompt_prefix and prompt_suffix of your own"


def _cut(template: str, tokens: Mapping[str, str], message: str, where: str) -> tuple[str, str]:
    try:
        rendered = (
            _environment()
            .from_string(template)
            .render(
                messages=[{"role": "user", "content": message}],
                add_generation_prompt=True,
                tools=None,
                documents=None,
                **tokens,
            )
        )
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        said = one_line(str(error)) or type(error).__name__
        raise UsageError(
            f"{where}: chat template: can't be filled with one message of a user ({said}); {_MEND}"
        ) from error
    parts = rendered.split(message)
    if len(parts) != 2:
        raise UsageError(
            f"{where}: chat template: writes a user's message {len(parts) - 1} times, not once as it is; {_MEND}"
        )
    return parts[0], parts[1]


def _environment() -> jinja2.Environment:
    """As transformers fills templates, but for the date, which would give every day its own prompts."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension, _Generation]
    )
    environment.filters["tojson"] = _as_json
    environment.globals["raise_exception"] = _refuse
    return environment


def _as_json(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **options)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


class _Generation(Extension):
    """{% generation %}, with which some templates mark the assistant's turns for training: what it holds, as it is."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """See Extension."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
