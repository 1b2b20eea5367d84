"""What can be refused before anything is read: names and settings that fit no part, weights that are not there."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from outfold.ensemble.methods import check_method
from outfold.errors import OutfoldError, RecipeError
from outfold.metrics import metric_of
from outfold.models.backbone import PHOTOS, Pictures, refuse_size
from outfold.models.freeze import backbone_batch_norms, set_trainable
from outfold.models.network import Network, SedNetwork, build_network
from outfold.models.options import Options, refuse_idle
from outfold.models.start import require_start
from outfold.models.weights import weights_identity
from outfold.runs.heard import check_windows
from outfold.runs.labels import check_labels
from outfold.runs.scores import validate_scores
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.blend import BlendStage
from outfold.settings.chains import start_of
from outfold.settings.learning import Phase
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings, TrainStage
from outfold.settings.view import ImageView
from outfold.stages.blend_sources import source_names
from outfold.stages.inputs import photo_settings, sizes_of
from outfold.stages.postprocess import check_fits
from outfold.training.losses import build_loss
from outfold.views.audio.chain import parse_sound_chain
from outfold.views.augment import build_chain


def validate(recipe: Recipe, root: Path) -> None:
    """Try every metric, score, blend, transform, loss, backbone, frozen part and weights file that the recipe names.

    Args:
        recipe: the effective recipe.
        root: folder that relative paths start from.

    Raises:
        OutfoldError: the first that cannot work; says which member asks for it.
    """
    for look in (*looks(recipe), *looks_at_members(recipe, root)):
        look()


def looks(recipe: Recipe) -> Iterator[Callable[[], object]]:
    """What the recipe alone can show to be wrong: functions that raise a RecipeError, each for one part of it."""
    for name in (recipe.task.metric, *recipe.task.metrics):
        yield partial(metric_of, recipe.task.answer, name)
    yield partial(validate_scores, recipe.task)
    yield partial(check_labels, recipe)
    yield partial(check_windows, recipe)
    for name, stage in recipe.stages.items():
        if isinstance(stage, BlendStage):
            yield partial(_validate_blend, name, stage, recipe)
        if isinstance(stage, PostprocessStage):
            yield partial(check_fits, stage, recipe.task)
        if isinstance(stage, TrainStage) and stage.target:
            yield partial(metric_of, recipe.task_of(name))


def looks_at_members(recipe: Recipe, root: Path) -> Iterator[Callable[[], object]]:
    """What a member's network, loss, transforms and weights file show to be wrong: functions that raise."""
    for stage, member, settings in recipe.members():
        place = f"stage {stage!r}, member {member!r}"
        yield partial(_named, place, partial(_validate_member, recipe.seen_by(stage), settings, root))
        yield partial(_named, place, partial(_validate_start, recipe, stage, member, settings))


def _named(place: str, look: Callable[[], object]) -> None:
    """Say whose error it is."""
    try:
        look()
    except OutfoldError as error:
        raise type(error)(f"{place}: {error.problem}", got=error.got, expected=error.expected, fix=error.fix) from error


def _validate_blend(name: str, stage: BlendStage, recipe: Recipe) -> None:
    task = recipe.task.answer
    check_method(stage.method, metric_of(task), task.kind)
    source_names(name, stage, recipe)


def _validate_member(recipe: Recipe, settings: TrainSettings, root: Path) -> None:
    for name in set(settings.keep.watched) - {"last", "valid_loss"}:
        metric_of(recipe.task.answer, name)
    counts = recipe.task.weights
    build_loss(settings.loss, recipe.task.kind, target_weight=None if counts is None else torch.tensor(counts))
    for size in sizes_of(settings) if isinstance(settings.view, ImageView) else ():
        build_chain(settings.augment, size=size)
    if isinstance(settings.view, AudioView | WaveformView):
        parse_sound_chain(settings.augment, pictures=isinstance(settings.view, AudioView))
    weights_identity(settings.pretrained, root)
    _refuse_batches_of_one(settings, len(recipe.task.target))
    with torch.device("meta"):  # names and shapes without numbers, which large models have many of
        network, _ = build_network(settings, 1, table_inputs=1, vector_inputs=1, pretrained=False)
        for phase in settings.phases:
            set_trainable(network, phase.train)
            _refuse_norms_that_are_not_there(network, phase)
        if isinstance(settings.view, AudioView):
            _refuse_idle_options(settings)
            _refuse_sizes(network, settings)
        photos = photo_settings(settings)
        if photos is not None:
            _refuse_idle_options(photos)
            _refuse_sizes(network if photos is settings else build_network(photos, 1, pretrained=False)[0], photos)


def _refuse_norms_that_are_not_there(network: Network, phase: Phase) -> None:
    """Refuse to keep what a backbone does not have."""
    if phase.batch_norms == "keep" and not backbone_batch_norms(network):
        raise RecipeError(
            f"phase {phase.name!r} keeps batch norms, but the backbone has none",
            fix="leave out `batch_norms: keep`",
        )


def _refuse_idle_options(settings: TrainSettings) -> None:
    """Refuse arguments of a backbone that change nothing, such as a value that timm passes over."""

    def build(options: Options) -> nn.Module:
        return build_network(settings.model_copy(update={"backbone_options": options}), 1, pretrained=False)[0].backbone

    refuse_idle(str(settings.backbone), settings.backbone_options, build)


def _refuse_sizes(network: Network, settings: TrainSettings) -> None:
    """Refuse sizes of photos, or of log-mel pictures, that the network of a member cannot read."""
    view, maps = settings.view, isinstance(network, SedNetwork)
    if isinstance(view, AudioView):
        sizes, pictures = [view.tile_height_width], _log_mel_pictures(view)
    else:
        rows, columns = network.grid
        sizes, pictures = [(height // rows, width // columns) for height, width in sizes_of(settings)], PHOTOS
    for size in dict.fromkeys(sizes):
        refuse_size(network.backbone, str(settings.backbone), size, pictures, maps=maps)


def _log_mel_pictures(view: AudioView) -> Pictures:
    sides = "[width, height]" if view.transpose else "[height, width]"
    fix = f"set view.mel.size: {sides} to sides that it reads, or change view.mel.mels or view.mel.hop"
    if view.patches is not None:
        fix = "change view.patches.frames or view.mel.mels"
    return Pictures("log-mel pictures", fix, view.channel_count)


def _refuse_batches_of_one(settings: TrainSettings, targets: int) -> None:
    """Refuse batches of one row, or of one number, where the rows of a batch are compared with each other."""
    if settings.table is not None and settings.batch_size == 1:
        raise RecipeError("table inputs cannot train on batches of one row", fix="raise batch_size to 2 at least")
    if settings.loss is not None and settings.loss.name == "weighted_r2" and settings.batch_size * targets == 1:
        raise RecipeError("weighted_r2 has no spread in batches of one row and one target", fix="raise batch_size")


def _validate_start(recipe: Recipe, stage: str, member: str, settings: TrainSettings) -> None:
    """Whether the weights of another stage fit: its backbone, or its whole network with as many outputs."""
    start, member_of_start = settings.init_from, start_of(settings, member, recipe.stages)
    if start is None or member_of_start is None:
        return
    theirs = recipe.members_of(start.stage)[member_of_start]
    before, after = (recipe.task_of(one) for one in (start.stage, stage))
    if start.part == "all" and (before.kind, len(before.target)) != (after.kind, len(after.target)):
        raise RecipeError(
            f"the weights of {start.stage}/{member_of_start} cannot start a network with other outputs",
            got=f"{before.kind} of {', '.join(before.target)}, then {after.kind} of {', '.join(after.target)}",
            fix="take the backbone alone: `init_from: {stage: .., part: backbone}`",
        )
    if start.part == "all" and theirs.outputs != settings.outputs:
        raise RecipeError(
            f"the outputs of {start.stage}/{member_of_start} mean something else than this member's",
            got=f"{theirs.outputs!r}, then {settings.outputs!r}",
            fix="give both the same `outputs`, or take the backbone alone: `init_from: {stage: .., part: backbone}`",
        )
    with torch.device("meta"):
        source, network = (
            build_network(one, 1, table_inputs=1, vector_inputs=1, pretrained=False)[0] for one in (theirs, settings)
        )
    require_start(source.state_dict(), network, start.part, f"{start.stage}/{member_of_start}")
