"""One fit job: a network trained on all folds but one, its weights, history and record."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from outfold.data.balance import sample_weights
from outfold.data.dataset import Dataset, Rows
from outfold.data.pseudo import learned_target
from outfold.files import write_atomically, write_json
from outfold.models.network import InputStats, Network, build_network
from outfold.models.seen import row_marks, seen_by, seen_header
from outfold.models.start import load_start
from outfold.models.weights import weights_path
from outfold.settings.train import TrainSettings
from outfold.stages.base import Context, Job, Model
from outfold.stages.bounds import class_bounds
from outfold.stages.inputs import (
    inputs_of,
    main_input_name,
    media_keys,
    table_encoder,
    vector_stats,
    vector_width,
    width_of,
)
from outfold.stages.objectives import judge_of, objective_of, target_space
from outfold.stages.outputs import by_class, classes_of, in_member_outputs, member_codec, member_target
from outfold.stages.predicting import Trained
from outfold.stages.pseudo_rows import PseudoRows, pseudo_rows_of, recordings_of
from outfold.stages.shown_rows import shown_rows
from outfold.stages.start import start_model
from outfold.training.checkpoints import save_weights
from outfold.training.device import make_fabric
from outfold.training.examples import Examples, Split
from outfold.training.features import frozen_features
from outfold.training.fit import Fit
from outfold.training.joined import joined_examples, joined_split, split_beside
from outfold.views.inputs import Input


@dataclass(frozen=True)
class Beginning:
    """What a model is before its first step.

    Attributes:
        model: a network, trained, pretrained or random, and what was learned of training rows to feed and read it;
            learning changes the network.
        seen: uint64, marks of the rows that its weights have seen.
        start: place of the run's model that it starts from; None where it starts from none.
    """

    model: Trained
    seen: np.ndarray
    start: str | None = None


def fit_model(job: Job, model: Model, settings: TrainSettings, context: Context) -> None:
    """Train one model; leaves what `learn` leaves."""
    started = time.perf_counter()
    torch.manual_seed(model.seed)
    split, pseudo = split_rows(model, settings, context), pseudo_rows_of(model, context)
    if pseudo is not None:
        pseudo = replace(pseudo, rows=shown_rows(settings, pseudo.rows, context.results, "test"))
    learn(job, model, _fresh(model, split, settings, context), split, pseudo, settings, context, started=started)


def learn(
    job: Job,
    model: Model,
    begin: Beginning,
    split: Split,
    pseudo: PseudoRows | None,
    settings: TrainSettings,
    context: Context,
    *,
    started: float,
) -> None:
    """Train a network on training rows and others; leaves weights.safetensors, history.csv and fit.json.

    The record fit.json is written last: a job without it is not done.

    Args:
        job: names the folder.
        model: says what is trained.
        begin: the network before its first step.
        split: training rows that are learned from, and those that judge.
        pseudo: further rows to learn from, as the member reads them. Nothing is fitted on them but the network itself.
        settings: the member's.
        context: the run's.
        started: `time.perf_counter()` when the work began.
    """
    folder = context.place(job)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fit.json").unlink(missing_ok=True)  # of an earlier recipe; must not vouch for the weights to come
    examples, tables = _examples(begin, pseudo, settings, context)
    fabric = make_fabric(context.compute.device, settings.precision)
    fit = Fit(
        network=begin.model.network,
        examples=examples,
        split=split if pseudo is None else with_pseudo_rows(split, pseudo, settings, context),
        settings=settings,
        objective=objective_of(settings, split, context, begin.model.space),
        judge=judge_of(settings, begin.model.space, context),
        fabric=fabric,
        folder=folder / "checkpoints",
        key=job.key,
        seed=model.seed,
        workers=context.compute.workers,
        features=lambda net: _frozen_features(net, tables, begin.model.stats, settings, fabric, context),
        emit=lambda event: context.compute.emit({"job": job.title, **event}),
    )
    best_epoch = fit.run()
    own = row_marks(context.dataset.train.samples.ids, context.dataset.train.content)[split.train]
    seen = [own, begin.seen, *([] if pseudo is None else [pseudo.seen])]
    save_weights(folder / "weights.safetensors", begin.model.network.state_dict(), seen_header(np.concatenate(seen)))
    write_atomically(folder / "history.csv", lambda part: pd.DataFrame(fit.history).to_csv(part, index=False))
    learned = {
        "space": None if begin.model.space is None else begin.model.space.to_dict(),
        "table": None if begin.model.encoder is None else begin.model.encoder.to_dict(),
        "pseudo_rows": 0 if pseudo is None else len(pseudo.rows),
        "epoch_rows": sum(map(len, fit.split.batches(settings.batch_size, (model.seed, 1)))),
        **({} if begin.start is None else {"start": begin.start}),
    }
    spent = {
        "epochs": len(fit.history),
        "best_epoch": best_epoch,
        **({"combined": fit.combined.to_dict()} if fit.combined is not None else {}),
        "seconds": round(time.perf_counter() - started, 2),
        "wait_share": round(fit.waiting.share, 4),
    }
    identity = {"key": job.key, "seed": model.seed, "fold": model.fold}
    write_json(folder / "fit.json", identity | spent | asdict(begin.model.stats) | learned)
    clear_checkpoints(folder / "checkpoints", keep=settings.keep.left_on_disk > 0)


def _fresh(model: Model, split: Split, settings: TrainSettings, context: Context) -> Beginning:
    """A network that has its pretrained weights or those of another stage, and what its training rows say of scales."""
    dataset = context.dataset
    codec, space = member_codec(settings, dataset.codec), target_space(settings, split, context)
    train, given = shown_rows(settings, dataset.train, context.results, "oof"), _given(settings, dataset)
    encoder = table_encoder(settings, train, split.train, given)
    start = start_model(model, settings, context.recipe, dataset)
    network, stats = build_network(
        settings,
        len(codec.outputs),
        space=space,
        table_inputs=width_of(encoder),
        vector_inputs=vector_width(settings, dataset.train),
        root=dataset.root,
        pretrained=start is None,
    )
    stats = vector_stats(settings, dataset.train, split.train) or stats
    seen = marks_in(_weights_file(settings, dataset))
    if start is not None and settings.init_from is not None:
        path = context.place(start) / "weights.safetensors"
        load_start(network, path, settings.init_from.part)
        seen = np.concatenate([seen, marks_in(path)])
    place = None if start is None else start.place.as_posix()
    return Beginning(Trained(network, stats, encoder, space), seen, place)


def marks_in(weights: Path | None) -> np.ndarray:
    """Marks of the rows that a file of weights says it has seen, uint64; none where it does not say."""
    found = None if weights is None else seen_by(weights)
    return np.zeros(0, dtype=np.uint64) if found is None else found


def _examples(
    begin: Beginning, pseudo: PseudoRows | None, settings: TrainSettings, context: Context
) -> tuple[Examples, list[tuple[Rows, Mapping[str, Input]]]]:
    """What is learned from, further rows below the training rows; and these tables with their inputs, one by one."""
    dataset, space = context.dataset, begin.model.space

    def examples_of(rows: Rows, target: np.ndarray, weight: np.ndarray | None, given: Rows | None = None) -> Examples:
        inputs = inputs_of(settings, begin.model.stats, begin.model.encoder, rows, given)
        return Examples(rows.samples.ids, inputs, target if space is None else space.encode(target), weight)

    train, given = shown_rows(settings, dataset.train, context.results, "oof"), _given(settings, dataset)
    examples = examples_of(train, member_target(settings, dataset), dataset.loss_weight, given)
    tables = [(train, examples.inputs)]
    if pseudo is None:
        return examples, tables
    more = examples_of(pseudo.rows, in_member_outputs(settings, dataset.codec, pseudo.target), pseudo.weights)
    return joined_examples(examples, more), [*tables, (pseudo.rows, more.inputs)]


def _frozen_features(
    network: Network,
    tables: Sequence[tuple[Rows, Mapping[str, Input]]],
    stats: InputStats,
    settings: TrainSettings,
    fabric: Fabric,
    context: Context,
) -> np.ndarray:
    """The backbone's features of all rows of these tables, one table below the other, float32 (n, f)."""
    identity = main_input_name(settings, context.recipe.data.prepare, stats)
    parts = [
        frozen_features(
            network, inputs, len(rows), media_keys(settings, rows), identity, settings, fabric, context.compute.workers
        )
        for rows, inputs in tables
    ]
    return np.concatenate(parts)


def _given(settings: TrainSettings, dataset: Dataset) -> Rows | None:
    """The training rows as their table has them, where training draws between these and predicted cells."""
    table = settings.table
    mixed = table is not None and table.predicted_by is not None and table.train_on == "mixed"
    return dataset.train if mixed else None


def _weights_file(settings: TrainSettings, dataset: Dataset) -> Path | None:
    """The file of weights that a member starts from; those of a package or a hub are public and nobody's rows."""
    return weights_path(settings.pretrained, dataset.root) if settings.pretrained.source == "file" else None


def split_rows(model: Model, settings: TrainSettings, context: Context) -> Split:
    """The rows of the model's fold judge, the others train."""
    train, valid = context.dataset.folds_of(settings.folds).split(model.fold)
    return training_split(train, valid, settings, context)


def training_split(train: np.ndarray, valid: np.ndarray, settings: TrainSettings, context: Context) -> Split:
    """These training rows and these that judge, int64 both, with the chances of the first or bounds of their classes.

    Nothing but training rows is ever drawn, whatever the chances and bounds.
    """
    drawn, dataset = settings.balance in ("sampler", "both"), context.dataset
    chances = sample_weights(classes_of(settings, dataset, train)) if drawn else None
    return Split(train, valid, chances, class_bounds(settings, dataset))


def with_pseudo_rows(split: Split, pseudo: PseudoRows, settings: TrainSettings, context: Context) -> Split:
    """The split in which pseudo-labelled rows train too: beside the labelled ones in each batch, or among them.

    Among them, they are rows of their likeliest class for a balanced sampler.
    """
    dataset, chances, batch = context.dataset, None, settings.pseudo_batch
    if batch is not None:
        recording = None if batch.recordings is None else recordings_of(pseudo.rows)
        return split_beside(split, len(dataset.train), len(pseudo.rows), batch, recording)
    if split.chances is not None:
        kind, target = dataset.codec.kind, in_member_outputs(settings, dataset.codec, pseudo.target)
        likeliest = by_class(learned_target(target, kind, "hard"), kind)
        both = [classes_of(settings, dataset, split.train), np.repeat(likeliest, pseudo.repetitions, axis=0)]
        chances = sample_weights(np.concatenate(both))
    return joined_split(split, len(dataset.train), pseudo.repetitions, chances)


def clear_checkpoints(folder: Path, *, keep: bool) -> None:
    """Drop the state to resume from, and the epochs' weights unless the recipe leaves them beside what predicts."""
    if not keep:
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if not path.match("epoch*.safetensors"):
            path.unlink()
