"""What texts call a sample and its file."""

from typing import NamedTuple


class Noun(NamedTuple):
    """Words for the samples of a recipe."""

    file: str
    """What is read from disk: one of it may hold many samples."""
    sample: str
    """What a model is given at once."""
    lighter: str
    """What makes a sample cheaper to prepare, in an advice."""


PHOTO = Noun("photo", "photo", "a smaller view.cache_size so that less is read and resized for each step")
RECORDING = Noun("recording", "clip", "fewer changes of waveforms (augment)")
ROW = Noun("row", "row", "fewer columns")
