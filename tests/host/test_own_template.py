"""Chat templates cut around one message of the user: published ones, and those that can't be cut."""

import pytest

from pipeline.errors import UsageError
from pipeline.host.own.template import Halves, halves

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
DATED = (
    "{%- if not date_string is defined %}\n"
    "    {%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}\n"
    "    {%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}\n"
    "{%- endif %}\n"
    "{{- bos_token }}{{- 'Today: ' + date_string + '\\n' }}{{- messages[0]['content'] }}"
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHATML, Halves("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", False)),
        (INST, Halves("[INST] ", " [/INST]", True)),
        (DATED, Halves("Today: 26 Jul 2024\n", "", True)),
        (
            "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
            Halves("", "", False),
        ),
        ("{{ {'é': 1} | tojson }}{{ messages[0].content }}", Halves('{"é": 1}', "", False)),
        ("{% for m in messages %}{{ m.content }}{% break %}{% endfor %}", Halves("", "", False)),
    ],
    ids=["ChatML", "BOS once, left to the engines", "no day of its own", "generation blocks", "JSON", "loop controls"],
)
def test_a_template_is_cut_at_the_message(template: str, expected: Halves) -> None:
    assert halves(template, TOKENS, "model") == expected


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[0].content | upper }}", "writes a user's message 0 times"),
        ("{{ messages[0].content }} {{ messages[0].content }}", "writes a user's message 2 times"),
        ("{{ messages[0].content | length }}{{ messages[0].content }}", "depends on the message"),
        ("{{ raise_exception('a system message must come first') }}", r"\(a system message must come first\)"),
        ("{{ strftime_now('%Y') }}{{ messages[0].content }}", "'strftime_now' is undefined"),
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ messages[3].content + 'x' }}", "can't be filled"),
        ("{{ 1 // 0 }}", "can't be filled"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0].content }}", "unsafe"),
        ("{% set _ = messages.append(1) %}{{ messages[0].content }}", "unsafe"),
    ],
)
def test_a_template_that_can_not_be_cut_is_an_error_that_says_why(template: str, said: str) -> None:
    with pytest.raises(UsageError, match=rf"^model: chat template: .*{said}.*models\.yaml"):
        halves(template, TOKENS, "model")


def test_a_template_as_long_as_a_book_is_not_read() -> None:
    with pytest.raises(UsageError, match="200001 characters"):
        halves("x" * 200_001, TOKENS, "model")
