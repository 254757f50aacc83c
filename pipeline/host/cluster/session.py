"""What a command line comes to on a cluster: the hardware of a node that has what its jobs need, and their launcher."""

from dataclasses import replace

from pipeline.catalog import Catalog, find
from pipeline.choices import Choices, resolve_choices
from pipeline.errors import BenchmarkError, UsageError
from pipeline.hardware import AUTO, CPU, Hardware, choose_hardware
from pipeline.host.arguments import Arguments
from pipeline.host.cluster import on_node
from pipeline.host.cluster.launcher import RayLauncher, absence
from pipeline.host.cluster.nodes import need_for
from pipeline.host.cluster.on_node import Survey, Workplace
from pipeline.host.cluster.options import RAY
from pipeline.host.cluster.ray import connect


def open_on_cluster(
    arguments: Arguments, catalog: Catalog, *, hypothetical: bool
) -> tuple[Choices, RayLauncher, str | None]:
    """The choices and the launcher, and a remark on what nodes run jobs in, where that is worth knowing.

    hypothetical: a GPU that no node has may be planned for. Raises UsageError where no node has what is asked for, with
    what there is.
    """
    if arguments.gpu not in (AUTO, CPU):
        find(catalog.gpus, arguments.gpu, "GPU (or auto, cpu)")
    cluster = connect(arguments.ray_address)
    nodes = cluster.nodes()
    need, fitting = need_for(arguments.gpu, catalog.gpus, nodes, arguments.ray_resources)
    on_nodes = replace(
        arguments, launcher=RAY[arguments.launcher], cache=arguments.ray_cache or arguments.cache, gpus=None
    )
    survey, remark = None, None
    if fitting:
        try:
            survey = cluster.ask(on_node.survey, on_nodes, catalog, hypothetical, node=fitting[0])
        except BenchmarkError as error:
            raise type(error)(f"node {fitting[0].name} of the Ray cluster: {error}") from error
        assert isinstance(survey, Survey)
        remark, hardware = survey.remark, survey.hardware
    elif hypothetical:
        hardware = _as_listed(arguments, catalog)
        remark = absence(need, [node.describe() for node in nodes])
    else:
        raise UsageError(f"--gpu {arguments.gpu}: {absence(need, [node.describe() for node in nodes])}")
    launched = survey.launcher if survey else "docker" if on_nodes.launcher == "docker" else "process"
    workplace = Workplace(replace(on_nodes, launcher=launched), catalog, hardware)
    launcher = RayLauncher(cluster, workplace, survey, need, arguments.data, arguments.results)
    return resolve_choices(arguments, catalog, hardware=hardware), launcher, remark


def _as_listed(arguments: Arguments, catalog: Catalog) -> Hardware:
    return choose_hardware(arguments.gpu, catalog.gpus, [], force=arguments.force_gpu, hypothetical=True)
