"""--model of the orchestrator: what it takes, and which actions take one model alone."""

from collections.abc import Sequence

from pipeline.errors import UsageError

FORMS = "NAME|OWNER/NAME[@REVISION]|PATH"
ALSO = (
    "; or a repository on the Hugging Face Hub, or a folder or .gguf file of your own; repeatable, for a report that "
    "groups by model"
)
ONE_MODEL = {
    "tune": "searches for the settings of one model",
    "explain_speed": "explains the speed of one model",
    "bertscore": "scores what is in the run, with a model of its own",
}


def require_one_model(action: str, models: Sequence[str]) -> None:
    """Raise UsageError where an action can't do with several models."""
    if len(models) > 1 and action in ONE_MODEL:
        option = f"--{action.replace('_', '-')}"
        raise UsageError(f"--model {models[1]}: {option} {ONE_MODEL[action]}; leave all but one of them out")
