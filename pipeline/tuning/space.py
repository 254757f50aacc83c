"""What --tune may change of an experiment, and the experiment with such changes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipeline import codec
from pipeline.catalog import CONFIG
from pipeline.entries import Device, Experiment, Scenario, Tuned
from pipeline.errors import UsageError
from pipeline.names import Name
from pipeline.yaml_files import read_yaml

SPACES = CONFIG / "tuning.yaml"
BATCH_SIZE = "batch_size"
"""The one setting that is a field of the experiment itself and no option of its engine."""

Changes = Mapping[str, Any]
"""By the setting's name, the value that it has instead of the untuned one. Empty: nothing is changed."""


@dataclass(frozen=True)
class Setting:
    """One thing that may be changed.

    option: where it stands among the experiment's options, dots between nested names; or batch_size. choices: values
    that are tried beside the untuned one. device, scenario: the only ones that it does anything on; None for all.
    real_weights: what it is worth depends on what the model writes. present, absent: an option that the experiment has
    to have, or must not have. footprint: the field of the experiment's memory that has the same value.
    """

    name: Name
    option: str
    choices: tuple[Any, ...]
    device: Device | None = None
    scenario: Scenario | None = None
    real_weights: bool = False
    present: Name | None = None
    absent: Name | None = None
    footprint: Literal["gpu_share"] | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The names that lead to it."""
        return tuple(self.option.split("."))


@dataclass(frozen=True)
class Space:
    """The settings that suit an experiment, with the choices that change something."""

    settings: tuple[Setting, ...]

    @property
    def size(self) -> int:
        """How many sets of changes there are, the untuned one among them."""
        return math.prod(len(setting.choices) + 1 for setting in self.settings)

    def has(self, changes: Changes) -> bool:
        """Whether these are changes that may be tried."""
        choices = {setting.name: setting.choices for setting in self.settings}
        return all(value in choices.get(name, ()) for name, value in changes.items())

    def singles(self) -> list[dict[str, Any]]:
        """Each choice alone: the first choice of every setting, then the second of each, and so on."""
        most = max((len(setting.choices) for setting in self.settings), default=0)
        return [
            {setting.name: setting.choices[place]}
            for place in range(most)
            for setting in self.settings
            if place < len(setting.choices)
        ]

    def setting(self, name: str) -> Setting:
        """The setting of that name; KeyError for one that isn't there."""
        return {setting.name: setting for setting in self.settings}[name]


def load_settings(path: Path = SPACES) -> dict[str, tuple[Setting, ...]]:
    """By backend. A UsageError names the file, the setting and the field at fault."""
    content = read_yaml(path).get("settings")
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected a mapping under 'settings'")
    found = {}
    for backend, entries in content.items():
        if not isinstance(entries, dict):
            raise UsageError(f"{path}: {backend}: expected settings by name")
        found[backend] = tuple(_setting(name, entry, f"{path}: {backend}.{name}") for name, entry in entries.items())
    return found


def _setting(name: str, entry: Any, where: str) -> Setting:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: expected fields")
    words = {"with": "present", "without": "absent"}  # read better in the file, and can't be names in Python
    setting = codec.decode(Setting, {"name": name, **{words.get(key, key): entry[key] for key in entry}}, where)
    if not setting.choices:
        raise UsageError(f"{where}: choices: give at least one value that differs from the untuned one")
    return setting


def space_for(
    experiment: Experiment,
    settings: Sequence[Setting],
    device: Device,
    scenario: Scenario,
    *,
    real_weights: bool,
) -> Space:
    """The settings that do something for the experiment there. Choices that it has anyway are left out."""
    options = _options_on(experiment, device)
    suited = []
    for setting in settings:
        fits = (
            setting.device in (None, device)
            and setting.scenario in (None, scenario)
            and (real_weights or not setting.real_weights)
            and (setting.present is None or setting.present in options)
            and (setting.absent is None or setting.absent not in options)
        )
        now = _value(experiment, options, setting, device)
        choices = tuple(choice for choice in setting.choices if choice != now)
        if fits and choices:
            suited.append(replace(setting, choices=choices))
    return Space(tuple(suited))


def changed(experiment: Experiment, space: Space, changes: Changes, name: str) -> Experiment:
    """The experiment with these changes, under that name."""
    options, cpu_options = dict(experiment.options), dict(experiment.cpu_options)
    batch_size = experiment.batch_size
    cpu_batch_size = experiment.cpu_batch_size
    needs, memory = experiment.needs, experiment.memory
    for setting_name, value in changes.items():
        setting = space.setting(setting_name)
        needs = replace(needs, real_weights=needs.real_weights or setting.real_weights)
        if setting.footprint is not None:
            memory = replace(memory, **{setting.footprint: value})
        if setting.option == BATCH_SIZE:
            batch_size = cpu_batch_size = value
            continue
        top = setting.path[0]
        options[top] = _with(options.get(top), setting.path[1:], value)
        if top in cpu_options:  # which would replace it on a CPU
            cpu_options[top] = _with(cpu_options[top], setting.path[1:], value)
    return replace(
        experiment,
        name=name,
        optimization=f"{experiment.optimization}; {in_words(changes) or 'untuned'}",
        options=options,
        cpu_options=cpu_options,
        batch_size=batch_size,
        cpu_batch_size=cpu_batch_size,
        needs=needs,
        memory=memory,
        by_name_only=True,
        tuned=Tuned(of=experiment.name, settings=dict(changes)),
    )


def in_words(changes: Changes) -> str:
    """The changes, as they are read."""
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in changes.items())


def value_in_words(value: Any) -> str:
    """A setting's value on one line."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={value_in_words(item)}" for name, item in value.items())
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _options_on(experiment: Experiment, device: Device) -> dict[str, Any]:
    return {**experiment.options, **(experiment.cpu_options if device == "cpu" else {})}


def _value(experiment: Experiment, options: Mapping[str, Any], setting: Setting, device: Device) -> Any:
    """What the experiment has now; None where its engine decides."""
    if setting.option == BATCH_SIZE:
        return (experiment.cpu_batch_size if device == "cpu" else None) or experiment.batch_size
    value: Any = options
    for name in setting.path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _with(value: Any, path: Sequence[str], new: Any) -> Any:
    """The value with the new one at that place in it."""
    if not path:
        return new
    inside = dict(value) if isinstance(value, Mapping) else {}
    return {**inside, path[0]: _with(inside.get(path[0]), path[1:], new)}
