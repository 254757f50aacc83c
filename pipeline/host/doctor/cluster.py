"""A Ray cluster against what the command's jobs need of it."""

from pipeline.host.cluster.launcher import RayLauncher, absence
from pipeline.host.doctor.gather import GIB
from pipeline.host.doctor.memory import Memory
from pipeline.host.session import Session
from pipeline.spec import Check

MEND = "start a node with it, take another --gpu, or name fewer --ray-resources"


def cluster_checks(launcher: RayLauncher) -> list[Check]:
    """The nodes that jobs can come to, and the one that was asked what it can run. None was started on."""
    nodes = launcher.cluster.nodes()
    fitting = [node for node in nodes if launcher.need.fits(node)]
    if launcher.survey is None:
        return [Check("cluster", "nodes", "fail", absence(launcher.need, [node.describe() for node in nodes]), MEND)]
    found = f"{len(fitting)} of {len(nodes)} nodes have {launcher.need.describe()}: "
    asked = f"{launcher.survey.hardware.description}, jobs run in {launcher.workplace.arguments.launcher}"
    return [
        Check("cluster", "nodes", "pass", found + ", ".join(node.describe() for node in fitting)),
        Check("cluster", fitting[0].name if fitting else "node", "pass", asked),
    ]


def node_memory(session: Session, launcher: RayLauncher) -> Memory:
    """Of the GPU of the node that was asked, or those that its kind is sold with; not known of a CPU's."""
    if launcher.survey is not None and launcher.survey.memory_bytes is not None:
        return Memory((launcher.survey.memory_bytes,))
    listed = session.catalog.gpus.get(session.hardware.gpu.name)
    return Memory(tuple(round(size * GIB) for size in listed.memory_gib) if listed else ())
