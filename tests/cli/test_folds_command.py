import signal
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from outfold.cli.folds import folds
from outfold.data.folds import make_folds, search
from outfold.data.table import load_samples
from outfold.errors import DataError
from outfold.settings.data import Data
from outfold.settings.folds import Folds


@pytest.fixture
def photos(tmp_path):
    """60 photos of 15 farms in 3 regions; region `north` has two farms."""
    rng = np.random.default_rng(0)
    farm = np.repeat(np.arange(15), 4)
    region = np.where(farm < 2, "north", np.where(farm < 9, "[red]south", "west"))
    table = pd.DataFrame(
        {
            "photo": [f"p{number:02d}" for number in range(60)],
            "farm": farm,
            "region": region,
            "ripe": rng.integers(0, 2, 60),
            "grams": rng.normal(100, 20, 60).round(1),
            "day": [f"2024/{1 + number % 12}/{1 + number % 9}" for number in range(60)],
        }
    )
    table.to_csv(tmp_path / "photos.csv", index=False)
    return table


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(folds)

    def call(*arguments, table="photos.csv"):
        return CliRunner().invoke(app, [table, "--seeds", "30", *arguments], env={"COLUMNS": "140"})

    return call


def output(result):
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_the_file_is_the_searched_folds_and_a_recipe_reads_it(run, photos, tmp_path):
    text = output(run("--group", "farm", "--stratify", "region,ripe", "--stratify", "grams", "--k", "3"))
    found = search(photos["farm"], photos[["region", "ripe", "grams"]], 3, seeds=30)
    written = pd.read_csv(tmp_path / "folds.csv")
    assert list(written) == ["id", "fold", "group", "strata"]
    assert written["fold"].tolist() == found.fold.tolist()
    assert written["group"].tolist() == photos["farm"].tolist()
    assert written["strata"][0].startswith(f"north | {photos['ripe'][0]} | (")
    samples = load_samples(Data(train="photos.csv", id="photo", weight=None), tmp_path)
    read = make_folds(Folds(file="folds.csv", group=("farm",)), samples, root=tmp_path)
    assert read.fold.tolist() == found.fold.tolist()
    for words in ("named by column 'photo'", "60 samples in 15 groups", "[red]south", "scikit-learn, seed 0", "total"):
        assert words in text
    assert f"{found.imbalance.total:.4f}" in text
    assert f"{found.reference['scikit-learn'].total:.4f}" in text


@pytest.mark.slow
def test_greedy_with_options(run, photos, tmp_path):
    options = ("--method", "greedy", "--seed", "7", "--group-size", "--weight", "rows=0", "--weight", "group_size=2")
    text = output(run("--group", "farm", "--stratify", "region", *options, "--out", "sub/f.csv", "--threads", "1"))
    found = search(
        photos["farm"],
        photos[["region"]],
        seeds=30,
        first_seed=7,
        method="greedy",
        group_sizes=True,
        weights={"rows": 0, "group_size": 2},
    )
    assert pd.read_csv(tmp_path / "sub" / "f.csv")["fold"].tolist() == found.fold.tolist()
    assert "scikit-learn, median seed" in text
    assert "4 rows" in text


def test_a_long_table_becomes_one_row_a_sample(run, photos, tmp_path):
    long = pd.concat([photos.assign(what=what) for what in ("height", "weight")])
    long.to_csv(tmp_path / "long.csv", index=False)
    text = output(run("--group", "farm", "--stratify", "region", "--id", "photo", table="long.csv"))
    assert "120 rows of 60 samples" in text
    assert len(pd.read_csv(tmp_path / "folds.csv")) == 60
    result = run("--group", "what", "--id", "photo", "--overwrite", table="long.csv")
    assert "differ in column 'what'" in str(result.exception)


def test_cuts_tear_groups_and_say_so(run, photos, tmp_path):
    text = output(run("--group", "farm", "--stratify", "region", "--cut", "region=north:5", "--order", "day"))
    assert "tears 2 groups apart" in text
    written = pd.read_csv(tmp_path / "folds.csv")
    north = written[photos["region"] == "north"]
    assert north["group"].nunique() == 5
    assert north["fold"].nunique() == 5


def test_unknown_groups_are_groups_of_their_own(run, photos, tmp_path):
    photos["farm"] = photos["farm"].replace(14, -1)
    photos.to_csv(tmp_path / "photos.csv", index=False)
    text = output(run("--group", "farm", "--unknown", "-1", "--id", "photo"))
    assert "group of 4 samples is not known" in text
    assert pd.read_csv(tmp_path / "folds.csv")["group"].nunique() == 18


def test_two_group_columns_are_linked_and_none_are_no_groups(run, photos, tmp_path):
    output(run("--group", "farm,region", "--k", "3"))
    assert pd.read_csv(tmp_path / "folds.csv")["group"].nunique() == 3
    output(run("--stratify", "region", "--overwrite"))
    assert list(pd.read_csv(tmp_path / "folds.csv")) == ["id", "fold", "strata"]


def test_interrupted_searches_write_the_best_so_far(run, photos, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return search(*arguments, **options)

    monkeypatch.setattr(sys.modules["outfold.data.folds.search"], "search", interrupted)
    before = signal.getsignal(signal.SIGINT)
    text = output(run("--group", "farm", "--stratify", "region", "--method", "greedy", "--seeds", "4000000000"))
    assert signal.getsignal(signal.SIGINT) is before
    assert "stopping with the best so far" in text
    assert "stopped: the best so far" in text
    assert len(pd.read_csv(tmp_path / "folds.csv")) == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--group", "frm"), "no column 'frm'"),
        (("--group", "farm", "--k", "16"), "15 groups cannot make 16 folds"),
        (("--group", "farm", "--id", "farm", "--stratify", "ripe"), "differ in column 'ripe'"),
        (("--group", "farm", "--weight", "region=1"), "'region'"),
        (("--group", "farm", "--cut", "region=east:3", "--order", "day"), "no rows"),
    ],
)
def test_what_the_table_does_not_allow_is_refused(run, photos, arguments, message):
    result = run(*arguments)
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weight", "rows"), "'rows' is not NAME=W"),
        (("--cut", "region=north", "--order", "day"), "is not COL=VALUE:PARTS"),
        (("--cut", "region=north:1", "--order", "day"), "is not COL=VALUE:PARTS"),
        (("--cut", "region=north:3"), "go together"),
        (("--method", "best"), "best"),
    ],
)
def test_options_that_mean_nothing_are_refused(run, photos, arguments, message):
    result = run("--group", "farm", *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_file_is_not_replaced_unless_asked(run, photos, tmp_path):
    (tmp_path / "folds.csv").write_text("mine")
    result = run("--group", "farm")
    assert "is there already" in str(result.exception)
    assert (tmp_path / "folds.csv").read_text() == "mine"
    output(run("--group", "farm", "--overwrite"))
    assert (tmp_path / "folds.csv").read_text() != "mine"


def test_the_real_long_table(run, shared_data, tmp_path):
    table = str(shared_data("csiro") / "train.csv")
    text = output(run("--group", "Sampling_Date", "--stratify", "State", "--id", "image_path", table=table))
    assert "1,785 rows of 357 samples in 28 groups" in text
    assert len(pd.read_csv(tmp_path / "folds.csv")) == 357
