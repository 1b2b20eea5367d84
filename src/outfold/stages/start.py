"""Which of a run's models another one starts from."""

from outfold.data.dataset import Dataset
from outfold.errors import RecipeError
from outfold.settings.chains import start_of
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import Context, Model


def start_model(model: Model, settings: TrainSettings, recipe: Recipe, dataset: Dataset) -> Model | None:
    """The model of an earlier stage whose weights a model starts from; None where `init_from` names none.

    It is the one of the same fold, unless the recipe names another, and of the same seed, or of the stage's only seed.

    Raises:
        RecipeError: the earlier stage holds no such fold out.
    """
    start, member = settings.init_from, start_of(settings, model.member, recipe.stages)
    if start is None or member is None:
        return None
    stage = recipe.stages[start.stage]
    assert isinstance(stage, TrainStage)  # a recipe that starts from other stages is refused
    fold = model.fold if start.fold == "same" else start.fold
    there = dataset.held_out_of(stage.member_settings(member).folds)
    if fold not in there:
        raise RecipeError(
            f"stage {model.stage!r}, member {model.member!r}: `init_from` names a fold that {start.stage!r} lacks",
            got=fold,
            expected=list(there),
        )
    return Model(start.stage, member, fold, model.seed if model.seed in stage.seeds else stage.seeds[0])


def key_of_fit(model: Model, context: Context) -> str:
    """The key of the planned job that trains a model."""
    return next(job.key for job in context.jobs if job.step == "fit" and job.model == model)
