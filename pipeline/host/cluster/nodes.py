"""The nodes of a cluster, and what a job needs of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.entries import Gpu
from pipeline.hardware import AUTO, CPU

ACCELERATOR = "accelerator_type:"
"""What Ray's resource that stands for a kind of GPU begins with."""


@dataclass(frozen=True)
class Node:
    """A living node. name: as it was started with, else its host's. resources: all that it has, by Ray's names."""

    id: str
    name: str
    resources: Mapping[str, float]

    def amount(self, resource: str) -> float:
        """How much it has of it, taken or not."""
        return self.resources.get(resource, 0.0)

    @property
    def accelerators(self) -> tuple[str, ...]:
        """The kinds of GPU that it has, by Ray's names."""
        return tuple(name.removeprefix(ACCELERATOR) for name in sorted(self.resources) if name.startswith(ACCELERATOR))

    def describe(self) -> str:
        """For messages: "n1 (2 GPU, A100, 16 CPU)", with what else it was given."""
        amounts = [f"{self.amount(name):g} {name}" for name in ("GPU", "CPU") if self.amount(name)]
        usual = ("GPU", "CPU", "memory", "object_store_memory")
        own = [
            f"{name}={amount:g}"
            for name, amount in sorted(self.resources.items())
            if name not in usual and not name.startswith((ACCELERATOR, "node:"))
        ]
        return f"{self.name} ({', '.join([*amounts, *self.accelerators, *own]) or 'no resources'})"


@dataclass(frozen=True)
class Need:
    """What Ray must find free on a node for a job, and holds for it alone until it ends.

    accelerator: the kind of the node's GPUs, by Ray's name; None for any. resources: the user's own, by name.
    """

    gpus: float = 0
    cpus: float = 0
    accelerator: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)

    def fits(self, node: Node) -> bool:
        """Whether the node has it all, were nothing of it taken."""
        amounts = {"GPU": self.gpus, "CPU": self.cpus, **self.resources}
        enough = all(node.amount(name) >= amount for name, amount in amounts.items())
        return enough and self.accelerator in (None, *node.accelerators)

    def describe(self) -> str:
        """For messages: "1 GPU of type A100 and pool=1"."""
        kind = f" of type {self.accelerator}" if self.accelerator else ""
        parts = [f"{self.gpus:g} GPU{kind}"] if self.gpus or kind else []
        parts += [f"{self.cpus:g} CPU"] if self.cpus else []
        return " and ".join([*parts, *(f"{name}={amount:g}" for name, amount in self.resources.items())])


def need_for(
    gpu: str, gpus: Mapping[str, Gpu], nodes: Sequence[Node], resources: Mapping[str, float]
) -> tuple[Need, list[Node]]:
    """What a job on --gpu needs, and the nodes that have it.

    auto is the first node's GPU, or a CPU where no node has one. A job on a CPU takes all CPUs of a node as large as
    the first, so that nothing runs beside it; nodes without a GPU come first. A GPU whose kind no node is known to have
    is any GPU only where Ray has no name for the kind.
    """
    with_gpu = [node for node in nodes if Need(1, resources=resources).fits(node)]
    if gpu == CPU or (gpu == AUTO and not with_gpu):
        fitting = sorted(
            (node for node in nodes if Need(cpus=1, resources=resources).fits(node)),
            key=lambda node: node.amount("GPU"),
        )
        need = Need(cpus=fitting[0].amount("CPU") if fitting else 1, resources=resources)
        return need, [node for node in fitting if need.fits(node)]
    if gpu == AUTO:
        kinds: Sequence[str] = with_gpu[0].accelerators
    else:
        kinds = gpus[gpu].accelerator_types if gpu in gpus else ()
    needs = [Need(1, accelerator=kind, resources=resources) for kind in kinds] or [Need(1, resources=resources)]
    found = [(need, [node for node in nodes if need.fits(node)]) for need in needs]
    return next(((need, fitting) for need, fitting in found if fitting), found[0])


def parse_resources(given: Sequence[str]) -> dict[str, float]:
    """--ray-resources' values, NAME=AMOUNT. Raises ValueError with the one that is none."""
    chosen = {}
    for value in given:
        name, _, amount = value.rpartition("=")
        try:
            chosen[name] = float(amount)
        except ValueError:
            raise ValueError(value) from None
        if not name or not 0 < chosen[name] < float("inf") or name in ("CPU", "GPU", "memory"):
            raise ValueError(value)
    return chosen
