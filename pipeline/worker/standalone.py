"""One experiment from its options to its result, with no orchestrator: what an image does when it is run alone.

It makes the very job that the orchestrator would make, in the same folder.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.catalog import Catalog, find
from pipeline.choices import Choices, make_requests, resolve_choices
from pipeline.datasets import Dataset, NotPrepared, in_place, resolve
from pipeline.entries import Image, Model, Variant
from pipeline.errors import UsageError
from pipeline.files import require_writable
from pipeline.gpus import detect_gpus
from pipeline.hardware import ALL, CPU
from pipeline.job_folder import begin, cannot_run_here, leave_unstarted
from pipeline.jobs import make_job, unstarted_job
from pipeline.options import Options
from pipeline.plan import Request, Selected, Skipped, select
from pipeline.results import Result
from pipeline.spec import JobWeights
from pipeline.weights import find_source, read_weights
from pipeline.worker.job import run_job_file
from pipeline.worker.runner import Roots
from pipeline.worker.surroundings import Surroundings, host_facts, writable_mount
from pipeline.worker.terminal import PlainProgress, render


@dataclass(frozen=True)
class Standalone:
    """Runs experiments of the image that this process runs in."""

    catalog: Catalog
    surroundings: Surroundings
    roots: Roots

    def run(self, name: str, options: Options) -> int:
        """Run the experiment, print its row and where its results lie. Exit status: 0 done, 1 failed or skipped.

        A UsageError names what is missing (an experiment of this image, documents, weights, rights) and its mend.
        """
        self._require_own(name)
        # of a container's GPUs, which are all its own, one that needs several takes all
        several = find(self.catalog.experiments, name, "experiment").needs.gpus > 1 and detect_gpus()
        choices = resolve_choices(options, self.catalog, numbers=ALL if several and options.gpu != CPU else None)
        dataset = self._dataset(choices)
        [request] = make_requests(options, choices, dataset, self.roots.data, self.surroundings.launcher)
        [item] = select([name], self.catalog, request.model, choices.hardware, self._why_not)
        if isinstance(item, Skipped):
            self._require_results(request)
            result, folder = self._skip(item, request, choices)
        else:
            weights = self._weights(item)
            self._require_results(request)
            result, folder = self._start(item, request, choices, weights)
        print(f"{render(result)}\nresults: {folder}")
        return 0 if result.status == "ok" else 1

    def _require_own(self, name: str) -> None:
        image = find(self.catalog.experiments, name, "experiment").image
        if image != self.surroundings.image.name:
            own = ", ".join(experiment.name for experiment in self.surroundings.experiments(self.catalog))
            raise UsageError(
                f"experiment {name!r} runs in image {image}, this is {self.surroundings.image.name}; "
                f"its experiments: {own}"
            )

    def _dataset(self, choices: Choices) -> Dataset:
        found = resolve(choices.dataset, self.roots.data, in_place)
        if isinstance(found, NotPrepared):
            raise UsageError(
                f"dataset {found.name} in {self.roots.data}: {found.reason}; fetch it with "
                f"`python orchestrator.py --prepare --dataset {found.name}` of the repository, or take --dataset sample"
            )
        return found

    def _why_not(self, _image: Image, variant: Variant) -> str | None:
        own = self.surroundings.variant
        if variant == own:
            return None
        missing = "; no NVIDIA GPU was found (a container needs --gpus all)" if own.device == "cuda" else ""
        return f"this is variant {own.name}{missing}"

    def _weights(self, item: Selected) -> JobWeights | None:
        form = item.experiment.weights
        if form is None or item.model is None:
            return None
        weights = read_weights(self.catalog, item.model.name, form, self.roots.cache)
        if weights is None:
            raise UsageError(_missing_weights(self.catalog, item.model, form, self.roots.cache))
        return weights

    def _require_results(self, request: Request) -> None:
        require_writable(self.roots.results / request.run, "the results folder", writable_mount("results"))

    def _skip(self, item: Skipped, request: Request, choices: Choices) -> tuple[Result, Path]:
        hardware, host = choices.hardware, host_facts(self.surroundings)
        result = leave_unstarted(self.roots.results, item, request, hardware, host, "skipped", cannot_run_here(item))
        return result, self.roots.results / unstarted_job(item, request, hardware)[1]

    def _start(
        self, item: Selected, request: Request, choices: Choices, weights: JobWeights | None
    ) -> tuple[Result, Path]:
        job = make_job(item, request, choices.hardware, weights, host_facts(self.surroundings))
        try:
            job_file = begin(self.roots.results, job, item, request, choices.hardware)
        except OSError as error:  # what another user left there
            folder = self.roots.results / job.folder
            raise UsageError(f"{folder}: can't be replaced ({error.strerror}); {writable_mount('results')}") from error
        return run_job_file(job_file, self.roots, PlainProgress()), job_file.parent


def _missing_weights(catalog: Catalog, model: Model, form: str, cache: Path) -> str:
    image = find_source(catalog, model.name, form).image
    return (
        f"{cache}: the {form} weights of {model.name} aren't there or are outdated; make them first: in image {image}, "
        f"with network and a cache that can be written to, --prepare {model.name} --format {form}"
    )
