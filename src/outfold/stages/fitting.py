"""One fit job: a network trained on all folds but one, its weights, history and record."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from outfold.data.balance import class_weights, sample_weights
from outfold.data.dataset import Dataset, Rows
from outfold.data.pseudo import learned_target
from outfold.data.target_space import TargetSpace
from outfold.files import write_atomically, write_json
from outfold.models.network import InputStats, Network, build_network
from outfold.models.seen import row_marks, seen_by, seen_header
from outfold.models.target_layer import units_of
from outfold.models.weights import weights_path
from outfold.settings.data import Task, TaskKind
from outfold.settings.learning import Keep
from outfold.settings.train import TrainSettings
from outfold.stages.base import Context, Job, Model
from outfold.stages.inputs import (
    image_view,
    inputs_of,
    pixels_name,
    table_encoder,
    vector_stats,
    vector_width,
    width_of,
)
from outfold.stages.outputs import in_member_outputs, member_codec, member_target
from outfold.stages.pseudo_rows import PseudoRows, pseudo_rows_of
from outfold.stages.scoring import greater_is_better, judged, metric_names, scores_of
from outfold.training.checkpoints import Watched, save_weights
from outfold.training.device import make_fabric
from outfold.training.examples import Examples, Split
from outfold.training.features import frozen_features
from outfold.training.fit import Fit
from outfold.training.joined import joined_examples, joined_split
from outfold.training.losses import LEAST_SPREAD, LossFunction, build_loss, mean_spread
from outfold.training.validation import Judge
from outfold.views.inputs import Input


def fit_model(job: Job, model: Model, settings: TrainSettings, context: Context) -> None:
    """Train one model; leaves weights.safetensors, history.csv and fit.json in the job's folder.

    The record fit.json is written last: a job without it is not done.
    """
    started = time.perf_counter()
    dataset, folder = context.dataset, context.place(job)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fit.json").unlink(missing_ok=True)  # of an earlier recipe; must not vouch for the weights to come
    torch.manual_seed(model.seed)
    codec, target = member_codec(settings, dataset.codec), member_target(settings, dataset)
    split = split_rows(model, settings, context)
    encoder = table_encoder(settings, dataset.train, split.train)
    space = target_space(settings, split, context)
    network, stats = build_network(
        settings,
        len(codec.outputs),
        space=space,
        table_inputs=width_of(encoder),
        vector_inputs=vector_width(settings, dataset.train),
        root=dataset.root,
        pretrained=True,
    )
    stats = vector_stats(settings, dataset.train, split.train) or stats
    objective = objective_of(settings, split, context, space)
    seen = _seen(split.train, settings, dataset)

    def examples_of(rows: Rows, target: np.ndarray, weight: np.ndarray | None) -> Examples:
        inputs = inputs_of(settings, stats, encoder, rows)
        return Examples(rows.samples.ids, inputs, target if space is None else space.encode(target), weight)

    examples = examples_of(dataset.train, target, dataset.weight)
    tables = [(dataset.train, examples.inputs)]
    pseudo = pseudo_rows_of(model, context)
    if pseudo is not None:  # nothing is fitted on these rows but the network itself
        more = examples_of(pseudo.rows, in_member_outputs(settings, dataset.codec, pseudo.target), pseudo.weights)
        tables.append((pseudo.rows, more.inputs))
        examples, split = joined_examples(examples, more), with_pseudo_rows(split, pseudo, settings, context)
        seen = np.concatenate([seen, pseudo.seen])
    fabric = make_fabric(context.compute.device, settings.precision)
    fit = Fit(
        network=network,
        examples=examples,
        split=split,
        settings=settings,
        objective=objective,
        judge=judge_of(settings, space, context),
        fabric=fabric,
        folder=folder / "checkpoints",
        key=job.key,
        seed=model.seed,
        workers=context.compute.workers,
        features=lambda net: _frozen_features(net, tables, stats, settings, fabric, context),
        emit=lambda event: context.compute.emit({"job": job.title, **event}),
    )
    best_epoch = fit.run()
    save_weights(folder / "weights.safetensors", network.state_dict(), seen_header(seen))
    write_atomically(folder / "history.csv", lambda part: pd.DataFrame(fit.history).to_csv(part, index=False))
    learned = {
        "space": None if space is None else space.to_dict(),
        "table": None if encoder is None else encoder.to_dict(),
        "pseudo_rows": 0 if pseudo is None else len(pseudo.rows),
    }
    spent = {
        "epochs": len(fit.history),
        "best_epoch": best_epoch,
        **({"combined": fit.combined.to_dict()} if fit.combined is not None else {}),
        "seconds": round(time.perf_counter() - started, 2),
        "wait_share": round(fit.waiting.share, 4),
    }
    identity = {"key": job.key, "seed": model.seed, "fold": model.fold}
    write_json(folder / "fit.json", identity | spent | asdict(stats) | learned)
    clear_checkpoints(folder / "checkpoints", keep=settings.keep.left_on_disk > 0)


def _frozen_features(
    network: Network,
    tables: Sequence[tuple[Rows, Mapping[str, Input]]],
    stats: InputStats,
    settings: TrainSettings,
    fabric: Fabric,
    context: Context,
) -> np.ndarray:
    """The backbone's features of all rows of these tables, one table below the other, float32 (n, f)."""
    pixels, view = pixels_name(settings, context.recipe.data.prepare), image_view(settings)
    identity = f"{pixels} mean {view.mean or stats.mean} std {view.std or stats.std}"
    parts = [
        frozen_features(
            network, inputs, len(rows), rows.photo_keys, identity, settings, fabric, context.compute.workers
        )
        for rows, inputs in tables
    ]
    return np.concatenate(parts)


def _seen(train: np.ndarray, settings: TrainSettings, dataset: Dataset) -> np.ndarray:
    """Marks of the rows that trained this model or the weights it started from."""
    own = row_marks(dataset.train.samples.ids, dataset.train.content)[train]
    if settings.pretrained.source != "file":
        return own
    before = seen_by(weights_path(settings.pretrained, dataset.root))
    return own if before is None else np.concatenate([own, before])


def split_rows(model: Model, settings: TrainSettings, context: Context) -> Split:
    """The rows of the model's fold judge, the others train; with a balanced sampler, their chances."""
    train, valid = context.dataset.folds_of(settings.folds).split(model.fold)
    chances = sample_weights(_onehot(settings, context, train)) if settings.balance in ("sampler", "both") else None
    return Split(train, valid, chances)


def with_pseudo_rows(split: Split, pseudo: PseudoRows, settings: TrainSettings, context: Context) -> Split:
    """The split in which pseudo-labelled rows train too; for a balanced sampler, as rows of their likeliest class."""
    dataset, chances = context.dataset, None
    if split.chances is not None:
        kind, target = dataset.codec.kind, in_member_outputs(settings, dataset.codec, pseudo.target)
        likeliest = _by_class(learned_target(target, kind, "hard"), kind)
        both = [_onehot(settings, context, split.train), np.repeat(likeliest, pseudo.repetitions, axis=0)]
        chances = sample_weights(np.concatenate(both))
    return joined_split(split, len(dataset.train), pseudo.repetitions, chances)


def target_space(settings: TrainSettings, split: Split, context: Context) -> TargetSpace | None:
    """What a regression's outputs are, by the split's training rows alone; None for a task of classes.

    Raises:
        DataError: the targets cannot be learned as the member asks.
    """
    codec = context.dataset.codec
    if codec.kind != "regression":
        return None
    target = member_target(settings, context.dataset)[split.train]
    return TargetSpace.fit(target, codec.outputs, settings.outputs, context.recipe.task.identities)


def objective_of(
    settings: TrainSettings, split: Split, context: Context, space: TargetSpace | None = None
) -> LossFunction:
    """The stage's loss, with what it takes from the training rows.

    That is class weights, where the recipe asks for them, or the spread of a regression's targets.
    """
    if space is not None:
        return _objective_of_values(settings, split, context, space)
    weight = None
    if settings.balance in ("class_weight", "both"):
        weight = torch.from_numpy(class_weights(_onehot(settings, context, split.train))).to(context.compute.device)
    return build_loss(settings.loss, context.dataset.codec.kind, weight)


def _objective_of_values(settings: TrainSettings, split: Split, context: Context, space: TargetSpace) -> LossFunction:
    device, counts = context.compute.device, context.recipe.task.weights
    weight = None if counts is None else torch.tensor(counts, device=device)
    target = torch.from_numpy(member_target(settings, context.dataset)[split.train]).to(device)
    return build_loss(
        settings.loss,
        "regression",
        target_weight=weight,
        units=units_of(space, device),
        least_spread=LEAST_SPREAD * mean_spread(target, weight),
    )


def judge_of(settings: TrainSettings, space: TargetSpace | None, context: Context) -> Judge:
    """Scores of a validation fold by the task's metrics, and which of them pick epochs."""
    task, target = context.recipe.task.answer, context.dataset.answer_target
    watched = watched_scores(settings.keep, task)
    names = metric_names(task, *(score.name for score in watched if score.name != "valid_loss"))
    outputs = member_codec(settings, context.dataset.codec).outputs
    asked = [outputs.index(name) for name in context.dataset.answer.outputs]

    def scores(logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return scores_of(names, task, target[rows], judged(logits, context.recipe.task.kind, space)[:, asked])

    return Judge(scores, watched)


def watched_scores(keep: Keep, task: Task) -> tuple[Watched, ...]:
    """The scores that epochs are kept by: those the recipe names, or the task's metric; none for the last epoch."""
    if keep.best == "last":
        return ()
    return tuple(Watched(name, greater_is_better(name, task)) for name in keep.watched or (task.metric,))


def clear_checkpoints(folder: Path, *, keep: bool) -> None:
    """Drop the state to resume from, and the epochs' weights unless the recipe leaves them beside what predicts."""
    if not keep:
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if not path.match("epoch*.safetensors"):
            path.unlink()


def _onehot(settings: TrainSettings, context: Context, rows: np.ndarray) -> np.ndarray:
    return _by_class(member_target(settings, context.dataset)[rows], context.dataset.codec.kind)


def _by_class(target: np.ndarray, kind: TaskKind) -> np.ndarray:
    """Targets with a column for each class: two for a binary task."""
    return np.concatenate([1 - target, target], axis=1) if kind == "binary" else target
