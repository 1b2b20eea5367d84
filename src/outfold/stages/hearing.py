"""Members that hear recordings predict later rows together.

Each recording is decoded once for all members of one rate and `span_s`, and kept nowhere; what several networks are
shown alike, such as the log-mel pictures of members whose `mel` is the same, is made once. All networks are in memory
meanwhile; of the sound there are a few blocks of rows, however long recordings are.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from pathlib import Path

import numpy as np
import torch

from outfold.data.audio.blocks import SoundBlock, sound_blocks
from outfold.data.audio.decode import Missing
from outfold.data.cache import refuse_bad
from outfold.data.predictions import Predictions
from outfold.data.rows import name_rows
from outfold.data.table import Samples
from outfold.data.targets import TargetCodec
from outfold.data.threads import in_order
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.data import OnBad
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute
from outfold.stages.inputs import name_of_main_input
from outfold.stages.predicting import ReadyNetwork, prediction_batch, ready_network
from outfold.stages.sharing import rows_title, shared_out
from outfold.views.audio.chain import SoundChain
from outfold.views.audio.input import DrawnPictures, WaveformInput, pictures_of, shown_by
from outfold.views.inputs import Input, VectorInput

LEAST_ROWS = 96
"""Of a block: two soundscapes of four minutes."""
MOST_ROWS = 1024
"""Of a block, at most; where the members' batches have no common multiple up to it, some are cut short at its end."""
DRAWN = 16
"""Windows that one thread makes pictures of at a time."""


@dataclass(frozen=True)
class Listener:
    """A network of a member that hears recordings and reads nothing else.

    Attributes:
        settings: the member's.
        codec: of the member's own outputs.
        folder: the network's fit job.
    """

    settings: TrainSettings
    codec: TargetCodec
    folder: Path

    @property
    def view(self) -> AudioView | WaveformView:
        """What it hears."""
        view = self.settings.view
        assert isinstance(view, AudioView | WaveformView)  # others are no listeners
        return view


@dataclass(frozen=True)
class Heard:
    """What listeners say of some rows.

    Attributes:
        predictions: of each listener, of all rows that have sound.
        bad: the other rows by place, and why they have none.
    """

    predictions: list[Predictions]
    bad: dict[int, str]


@dataclass(frozen=True)
class Stretch:
    """Rows that follow each other in a table, to be heard by all of some listeners.

    Attributes:
        listeners: one or more.
        samples: these rows alone.
        start: place of the first of them in the table.
        whole: rows of the whole table.
        missing: what is done about rows that end behind their recording's end.
        on_bad: `stop` raises as soon as rows without sound are met; `drop` leaves them out.
    """

    listeners: Sequence[Listener]
    samples: Samples
    start: int
    whole: int
    missing: Missing
    on_bad: OnBad

    @property
    def title(self) -> str:
        """How errors call it."""
        return rows_title(self.samples.ids, self.start, self.whole)

    def performed(self, compute: Compute) -> Heard:
        """Its rows by each of the networks, block by block.

        Raises:
            MediaError: rows have no sound, and that stops it.
        """
        networks = [ready_network(one.folder, one.settings, one.codec, compute) for one in self.listeners]
        answers: list[list[np.ndarray]] = [[] for _ in networks]
        bad: dict[int, str] = {}
        for blocks in self._blocks(compute):
            for block in blocks.values():
                bad |= block.bad
            if self.on_bad == "stop":
                _refuse(bad, self.samples)
            for parts, answer in zip(answers, _heard(blocks, self.listeners, networks, bad, compute), strict=True):
                parts.append(answer)
        ids = np.delete(self.samples.ids, list(bad))
        predictions = [
            Predictions(ids, np.concatenate(parts), one.codec.outputs, network.space)
            for one, network, parts in zip(self.listeners, networks, answers, strict=True)
        ]
        return Heard(predictions, {self.start + place: reason for place, reason in sorted(bad.items())})

    def _blocks(self, compute: Compute) -> Iterator[dict[Hashable, SoundBlock]]:
        """The rows' sound at every rate and of every length that a listener hears, the same rows at a time."""
        media, clips = self.samples.media, self.samples.clips
        assert media is not None and clips is not None  # the caller looked
        rows, keys = block_rows(self.listeners), {_sound_of(one.view): one.view for one in self.listeners}
        streams = [
            sound_blocks(
                media,
                clips,
                view.sample_rate,
                _span_of(view),
                rows=rows,
                workers=compute.workers,
                missing=self.missing,
            )
            for view in keys.values()
        ]
        for blocks in zip(*streams, strict=True):
            yield dict(zip(keys, blocks, strict=True))

    def fault(self, answer: Heard) -> str | None:
        """What is wrong with an answer: each listener must predict each row that has sound."""
        ids = [name for row, name in enumerate(self.samples.ids, self.start) if row not in answer.bad]
        if len(answer.predictions) != len(self.listeners):
            return f"it predicted by {len(answer.predictions)} models of {len(self.listeners)}"
        for predictions in answer.predictions:
            if predictions.ids.tolist() != ids:
                return f"it predicted {len(predictions)} rows, and not the {len(ids)} that were asked for"
        return None


def hear(listeners: Sequence[Listener], samples: Samples, compute: Compute, missing: Missing, on_bad: OnBad) -> Heard:
    """Let listeners predict all rows of a table, by several processes where there are some.

    Args:
        listeners: one or more.
        samples: the table.
        compute: device, threads, who is told, and the processes that share the rows, if any.
        missing: what is done about rows that end behind their recording's end.
        on_bad: `stop` raises where rows have no sound; `drop` leaves them out.

    Raises:
        MediaError: with `stop`, the first rows without sound that were met, and why.
        WorkerError: some rows cost two processes.
    """
    if compute.pool is None:
        return Stretch(listeners, samples, 0, len(samples), missing, on_bad).performed(compute)
    runs = shared_out(len(samples), common_batch(listeners), compute)
    # Processes leave bad rows out, for only here it is known what the table calls them.
    pieces = [Stretch(listeners, samples.take(np.array(run)), run.start, len(samples), missing, "drop") for run in runs]
    parts: list[Heard] = compute.pool.map(pieces, name=lambda piece: piece.title, fault=Stretch.fault)
    heard = Heard(
        [Predictions.concat(one) for one in zip(*(part.predictions for part in parts), strict=True)],
        {place: reason for part in parts for place, reason in part.bad.items()},
    )
    if on_bad == "stop":
        _refuse(heard.bad, samples)
    return heard


def _refuse(bad: dict[int, str], samples: Samples) -> None:
    refuse_bad(bad, len(samples), lambda row: name_rows(samples.frame, [row]), media="recordings")


def common_batch(listeners: Sequence[Listener]) -> int:
    """Rows between which a table can be cut so that every member's batches are those of the run."""
    common = lcm(*(prediction_batch(one.settings) for one in listeners))
    return common if common <= MOST_ROWS else LEAST_ROWS


def block_rows(listeners: Sequence[Listener]) -> int:
    """Rows that are decoded together."""
    common = common_batch(listeners)
    return common * -(-LEAST_ROWS // common)


def _heard(
    blocks: Mapping[Hashable, SoundBlock],
    listeners: Sequence[Listener],
    networks: Sequence[ReadyNetwork],
    bad: Collection[int],
    compute: Compute,
) -> list[np.ndarray]:
    """What each network says of the rows of a block that have sound, float32 (n, k)."""
    rows = next(iter(blocks.values())).rows
    kept = np.array([place for place, row in enumerate(rows) if row not in bad], dtype=np.int64)
    if not len(kept):
        return [np.zeros((0, len(one.codec.outputs)), np.float32) for one in listeners]
    made: dict[Hashable, np.ndarray] = {}
    answers = []
    for listener, network in zip(listeners, networks, strict=True):
        view, shown = listener.view, shown_by(listener.view)
        if shown not in made:
            made[shown] = _shown(view, blocks[_sound_of(view)], kept, compute)
        source: Input = DrawnPictures(made[shown], view) if isinstance(view, AudioView) else VectorInput(made[shown])
        inputs = {name_of_main_input(listener.settings): source}
        answers.append(network.predict(inputs, np.arange(len(kept)), compute)[0])
    return answers


def _shown(view: AudioView | WaveformView, block: SoundBlock, kept: np.ndarray, compute: Compute) -> np.ndarray:
    """The windows of some rows as predictions hear them, made by threads: waveforms (n, m), or pictures (n, h, w)."""
    read = WaveformInput(block, view, SoundChain()).reader(augment=False)
    unused = np.random.default_rng(0)  # predictions draw nothing

    def made(rows: np.ndarray) -> np.ndarray:
        waveforms = np.stack([read(int(row), unused) for row in rows])
        if not isinstance(view, AudioView):
            return waveforms
        return pictures_of(torch.from_numpy(waveforms).to(compute.device), view.mel).cpu().numpy()

    batches = [kept[begin : begin + DRAWN] for begin in range(0, len(kept), DRAWN)]
    return np.concatenate(list(in_order(made, batches, compute.workers)))


def _sound_of(view: AudioView | WaveformView) -> Hashable:
    """What decides which samples of a recording a view needs."""
    return view.sample_rate, _span_of(view)


def _span_of(view: AudioView | WaveformView) -> float:
    """Seconds of a row that are decoded: as many as a run's cache begins with, so that the numbers are the same.

    Where training may hear any part of a row its cache holds all of it; here long rows are not held whole, and are
    rounded to 16 bits by the loudest sample of the window that is heard.
    """
    return view.span_s if np.isfinite(view.span_s) else view.window_s
