"""What each part of a soundscape system is worth, on soundscapes whose truth is known.

    python examples/kaggle_birdclef_layout.py ESC10_FOLDER SOUNDSCAPES_FOLDER DATA
    outfold run birdclef2024-3rd --profile small --data DATA --out RUN
    python examples/soundscape_scores.py RUN DATA/solution.csv

Prints macro ROC-AUC over the windows of the test soundscapes for every teacher and student of the run, for the mean of
either kind, and for the students' mean with the boost and the smoothing of its postprocess stage, each alone and both;
with intervals over soundscapes, and differences with theirs. `--other RUN2` compares the members and means that two
runs share, such as one without the mask of secondary labels (`--set task.secondary=null`).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import outfold
from outfold import metrics
from outfold.data.predictions import logits_of, probabilities_of
from outfold.inference.in_time import boost_by_recording, smooth_in_time
from outfold.runs.member_files import read_member
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.train import TrainStage

METRIC = "macro_roc_auc"
Answers = dict[str, np.ndarray]


class Truth:
    """Which classes sound in which windows, and the metric.

    Args:
        path: a table of row_id, `<soundscape>_<end second>`, and a 0/1 column a class.
    """

    def __init__(self, path: Path) -> None:
        table = pd.read_csv(path)
        self.ids = table["row_id"].astype(str).to_numpy(object)
        self.target = table.drop(columns="row_id").to_numpy(np.float32)
        self.classes = list(table.columns[1:])
        split = [text.rpartition("_") for text in self.ids]
        self.soundscape = np.array([name for name, _, _ in split])
        self.end_s = np.array([float(second) for _, _, second in split])
        self.metric = metrics.get_metric(METRIC, "multilabel")

    def score(self, name: str, answer: np.ndarray) -> str:
        """A score and its interval over soundscapes."""
        low, high = metrics.interval(self.metric, self.target, answer, self.soundscape)
        return f"  {name:<36} {self.metric.function(self.target, answer):.4f}  [{low:.3f}, {high:.3f}]"

    def gain(self, name: str, before: np.ndarray, after: np.ndarray) -> str:
        """By how much one answer is better than another."""
        found = metrics.compare(self.metric, self.target, before, after, self.soundscape)
        value, low, high = found.difference
        return f"  {name:<36} {value:+.4f}  [{low:+.3f}, {high:+.3f}]"


def answers_of(run: outfold.Run, truth: Truth) -> Answers:
    """Probabilities (n, k) of each member and each train stage, the mean of its members' logits."""
    found: Answers = {}
    for name, stage in run.recipe.stages.items():
        if not isinstance(stage, TrainStage):
            continue
        for member in stage.members:
            read = read_member(run.path, run.summary, f"{name}/{member}", "multilabel")
            logits = [
                logits_of(one.to_probability("multilabel").aligned_to(truth.ids).values, "multilabel")
                for one in read.test
            ]
            found[f"{name}/{member}"] = probabilities_of(np.mean(logits, axis=0), "multilabel")
        means = [logits_of(found[f"{name}/{member}"], "multilabel") for member in stage.members]
        found[name] = probabilities_of(np.mean(means, axis=0), "multilabel")
    return found


def in_time(run: outfold.Run, answer: np.ndarray, truth: Truth) -> Answers:
    """An answer with each kind of the run's steps in time, and with all."""
    stage = next(stage for stage in run.recipe.stages.values() if isinstance(stage, PostprocessStage))
    found: Answers = {}
    for chosen in ("boost", "smooth", "boost and smooth"):
        changed = answer
        for step in stage.steps:
            if step.boost is not None and "boost" in chosen:
                logits = logits_of(changed, "multilabel")
                changed = probabilities_of(
                    boost_by_recording(logits, truth.soundscape, weight=float(step.boost.weight)), "multilabel"
                )
            if step.smooth is not None and "smooth" in chosen:
                changed = smooth_in_time(
                    changed, truth.soundscape, truth.end_s, kernel=step.smooth.kernel, hop_s=step.smooth.hop_s
                )
        found[chosen] = changed
    return found


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of birdclef2024-3rd or of a recipe like it")
    parser.add_argument("solution", type=Path, help="the truth of the test soundscapes")
    parser.add_argument("--other", type=Path, help="a second run, whose members are compared")
    given = parser.parse_args()
    run, truth = outfold.load_run(given.run), Truth(given.solution)
    answers = answers_of(run, truth)
    teachers, students = (name for name, stage in run.recipe.stages.items() if isinstance(stage, TrainStage))
    later = in_time(run, answers[students], truth)
    soundscapes = len(set(truth.soundscape))
    print(f"macro ROC-AUC over {len(truth.ids):,} windows of {soundscapes} soundscapes, 95% over soundscapes")
    for name, answer in {**answers, **{f"{students}, {name}": one for name, one in later.items()}}.items():
        print(truth.score(name, answer))
    print("differences")
    single = max(
        (name for name in answers if name.startswith(f"{teachers}/")),
        key=lambda name: truth.metric.function(truth.target, answers[name]),
    )
    print(truth.gain(f"{teachers} over its best member", answers[single], answers[teachers]))
    print(truth.gain(f"{students} over {teachers}", answers[teachers], answers[students]))
    for name, one in later.items():
        print(truth.gain(f"{name} over none", answers[students], one))
    if given.other is not None:
        others = answers_of(outfold.load_run(given.other), truth)
        print(f"this run over {given.other}")
        for name in (name for name in answers if name in others):
            print(truth.gain(name, others[name], answers[name]))


if __name__ == "__main__":
    main()
