"""Which results can be compared at all: tables of one scenario, model, kind of weights (real or random), workload,
launcher, machine and number of shards, and in them the launches of each row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.current import Env, env_of
from pipeline.entries import Scenario
from pipeline.report.stored import StoredJob
from pipeline.results import Environment

GIB = 1024**3
ENVIRONMENTS: Mapping[Env, str] = {"own": "own environment", "current": "interpreter at hand"}


@dataclass(frozen=True)
class Site:
    """What tells machines apart; a GPU's job and one beside it that used none share the second half."""

    gpu_name: str | None
    gpu_count: int
    gpu_gib: int | None
    cpu: str | None
    cpu_count: int | None

    @classmethod
    def of(cls, environment: Environment) -> "Site | None":
        """None for a job that did not come to tell of it."""
        if environment.cpu is None and environment.gpu_name is None:
            return None
        memory = environment.memory_bytes if environment.gpu_name is not None else None
        return cls(
            environment.gpu_name,
            environment.gpu_count,
            None if memory is None else round(memory / GIB),
            environment.cpu,
            environment.cpu_count,
        )

    def host_of(self, other: "Site") -> bool:
        """Whether the other, which used no GPU, can have run on this machine."""
        return other.gpu_name is None and (self.cpu, self.cpu_count) == (other.cpu, other.cpu_count)

    @property
    def name(self) -> str:
        """In words, to tell two of one kind apart."""
        if self.gpu_name is not None:
            memory = f", {self.gpu_gib} GiB" if self.gpu_gib is not None else ""
            return f"{f'{self.gpu_count} ' if self.gpu_count > 1 else ''}{self.gpu_name}{memory}, on {self.cpu}"
        return f"{self.cpu}, {self.cpu_count} cores" if self.cpu_count else str(self.cpu)


@dataclass(frozen=True)
class Group:
    """What all rows of a table have in common. site: None where no job told of its machine."""

    scenario: Scenario
    model: str | None
    synthetic: bool
    documents_sha256: str
    template: str
    max_new_tokens: int
    launcher: str
    gpu: str
    site: Site | None
    shards: int

    @classmethod
    def of(cls, job: StoredJob) -> "Group":
        """The table that a job's own result names."""
        one, work = job.result.job, job.result.job.workload
        return cls(
            one.scenario,
            one.model,
            one.synthetic,
            work.documents_sha256,
            work.prompt.template,
            work.max_new_tokens,
            one.launcher,
            one.gpu,
            Site.of(job.result.environment),
            one.shards,
        )

    @property
    def question(self) -> tuple[object, ...]:
        """All but the model, its weights and the site."""
        work = (self.documents_sha256, self.template, self.max_new_tokens)
        return (self.scenario, work, self.launcher, self.gpu, self.shards)


def tables_of(jobs: Sequence[StoredJob]) -> dict[Group, list[StoredJob]]:
    """Jobs by table, in the order in which tables first appear, those of one model together; a table's jobs in their
    own order.

    A job that did not come to tell of its machine stands with the others of its question, where it can those of its
    run. One without a model (a reference line) stands in every table of its question on its machine.
    """
    groups: dict[Group, list[StoredJob]] = {}
    for known in (True, False):
        for job in jobs:
            group = Group.of(job)
            if group.model is not None and (group.site is not None) == known:
                groups.setdefault(group if known else _home(group, job, groups), []).append(job)
    with_models = list(groups)
    for job in jobs:
        group = Group.of(job)
        if group.model is None:
            joined = [other for other in with_models if _stands_beside(group, other)]
            for other in joined or [group]:
                groups.setdefault(other, []).append(job)
    places = {id(job): number for number, job in enumerate(jobs)}
    first = {group: min(places[id(job)] for job in members) for group, members in groups.items()}
    of_model = {model: min(first[group] for group in first if group.model == model) for model in _models(first)}
    ordered = sorted(groups, key=lambda group: (of_model[group.model], first[group]))
    return {group: sorted(groups[group], key=lambda job: places[id(job)]) for group in ordered}


def _models(groups: Iterable[Group]) -> set[str | None]:
    return {group.model for group in groups}


def _home(group: Group, job: StoredJob, groups: Mapping[Group, Sequence[StoredJob]]) -> Group:
    same = [other for other in groups if replace(other, site=None) == replace(group, site=None)]
    of_run = [other for other in same if _holds_run_of(job, groups[other])]
    if same:
        return next(iter(of_run or same))
    # nothing of its question told either: what else the run did on such a device says where it was
    sites = {other.site for other in groups if other.gpu == group.gpu and _holds_run_of(job, groups[other])}
    return replace(group, site=next(iter(sites))) if len(sites) == 1 else group


def _holds_run_of(job: StoredJob, members: Sequence[StoredJob]) -> bool:
    return any(member.run_folder == job.run_folder for member in members)


def _stands_beside(reference: Group, other: Group) -> bool:
    if reference.question != other.question:
        return False
    mine, site = reference.site, other.site
    return mine is None or site is None or mine == site or site.host_of(mine)


def rows_of(jobs: Sequence[StoredJob]) -> dict[str, list[StoredJob]]:
    """The launches of each row by the row's name, unique in the table.

    A row is one experiment of one run in one kind of environment, with one batch size asked for and one preset or none.
    Where an experiment has several, what tells them apart stands behind its name.
    """
    rows: dict[_RowKey, list[StoredJob]] = {}
    for job in sorted(jobs, key=_unsettled):
        key = _RowKey.of(job)
        alike = [other for other in rows if replace(other, batch_size=None) == replace(key, batch_size=None)]
        rows.setdefault(alike[0] if _unsettled(job) and len(alike) == 1 else key, []).append(job)
    places = {id(job): number for number, job in enumerate(jobs)}
    named = {}
    for key, members in sorted(rows.items(), key=lambda item: min(places[id(job)] for job in item[1])):
        rivals = [other for other in rows if other.experiment == key.experiment]
        named[key.name_among(rivals)] = sorted(members, key=lambda job: job.result.job.launch)
    return named


def _unsettled(job: StoredJob) -> bool:
    """A job that did not come far enough to know its batch size, or has none."""
    return job.result.status != "ok" and job.result.settings.batch_size_asked is None


@dataclass(frozen=True)
class _RowKey:
    experiment: str
    preset: str | None
    run_folder: str
    env: str
    batch_size: int | None
    run: str = field(compare=False)

    @classmethod
    def of(cls, job: StoredJob) -> "_RowKey":
        one = job.result.job
        env = ENVIRONMENTS[env_of(one.variant)]
        return cls(one.experiment, one.preset, job.run_folder, env, job.result.settings.batch_size_asked, one.run)

    def name_among(self, rivals: Sequence["_RowKey"]) -> str:
        batch = "batch size by itself" if self.batch_size is None else f"batch size {self.batch_size}"
        namesakes = {rival.run_folder for rival in rivals if rival.run == self.run}
        run = self.run if len(namesakes) == 1 else self.run_folder
        telling = [
            words
            for words, name in ((self.preset, "preset"), (run, "run_folder"), (self.env, "env"), (batch, "batch_size"))
            if words and len({getattr(rival, name) for rival in rivals}) > 1
        ]
        return f"{self.experiment} ({', '.join(telling)})" if telling else self.experiment
