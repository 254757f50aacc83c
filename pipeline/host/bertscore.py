"""--bertscore RUN: prepare the image and the model that score it, then start them over the run's results."""

from dataclasses import dataclass, replace

from pipeline.bertscore import BertScoreSummary, read_scorer, read_summary
from pipeline.catalog import Catalog
from pipeline.errors import BenchmarkError
from pipeline.gpus import detect_gpus
from pipeline.hardware import choose_hardware
from pipeline.host.arguments import Arguments
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers.choose import open_launcher
from pipeline.host.prepare import Preparation
from pipeline.host.runs import open_run
from pipeline.host.stopping import Stop
from pipeline.host.watcher import Watcher
from pipeline.plan import Selected, select

LOG_FILE = "bertscore-log.txt"


@dataclass(frozen=True)
class Scored:
    """What stands in a job's folder. job: the folder's name."""

    job: str
    summary: BertScoreSummary


def score_run(arguments: Arguments, catalog: Catalog, run: str, watcher: Watcher) -> list[Scored]:
    """Score all jobs of the run (its name or folder) that came through; what is missing for it is prepared first.

    The scores of all of them are returned, earlier ones too. Raises UsageError where there is no such run, and
    BenchmarkError where the image can't run here or be made, or a job could not be scored; its log says why.
    """
    folder = open_run(run, arguments.results)
    arguments = replace(arguments, results=folder.results)
    scorer = read_scorer()
    scoring = scorer.catalog(catalog)
    [model] = scoring.models.values()
    hardware = choose_hardware(
        arguments.gpu, catalog.gpus, detect_gpus(), force=arguments.force_gpu, hypothetical=False
    )
    launcher, remark = open_launcher(arguments, catalog, hardware)
    if remark:
        watcher.note(remark)
    planned = select([scorer.experiment.name], scoring, model, hardware, launcher.why_not, arguments.variants)
    [chosen] = planned
    if not isinstance(chosen, Selected):
        raise BenchmarkError(f"--bertscore can't run here: {chosen.reason}")
    with folder.lock():
        launcher.clean()
        logs = folder.path / "prepare"
        prepared = Preparation(
            scoring, launcher, hardware, arguments.variants, arguments.cache, logs, watcher, arguments.allow_pickle
        ).prepare(planned)
        obstacle = prepared.obstacle(chosen)
        if obstacle:
            raise BenchmarkError(f"--bertscore: {obstacle.message}; see {obstacle.log}")
        log, first = folder.path / LOG_FILE, next(iter(hardware.uuids), None)
        with watcher.preparing("BERTScore of the run's summaries"), GpuTurn(first, watcher).take(Stop()):
            ended = launcher.run(chosen.image, chosen.variant, ["--bertscore", folder.name], log, lambda line: None)
        if ended.code != 0:
            raise BenchmarkError(f"--bertscore: it ended with status {ended.code}; see {log}")
        summaries = {path.name: read_summary(path) for path in sorted(folder.path.iterdir()) if path.is_dir()}
    return [Scored(job, summary) for job, summary in summaries.items() if summary is not None]
