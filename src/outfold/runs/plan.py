"""All jobs of a recipe, in the order in which they can run."""

from outfold.stages import STAGE_KINDS
from outfold.stages.base import Context, Job
from outfold.stages.scope import context_for


def plan(context: Context) -> list[Job]:
    """The jobs of every stage; a stage's jobs follow those of the stages it reads from.

    Also fills `context.jobs`, from which a stage takes the keys of the jobs before it.
    """
    for name, stage in context.recipe.stages.items():
        context.jobs.extend(STAGE_KINDS[stage.kind].plan(name, stage, context_for(name, context)))
    return context.jobs
