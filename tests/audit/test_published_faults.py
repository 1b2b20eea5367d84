"""Every fault found in a published system, planted, and caught by the audit."""

import numpy as np
import pandas as pd

from outfold.audit import (
    Artefact,
    Known,
    audit_dataset,
    audit_outcome,
    broken_identities,
    constant_inputs,
    copy_crossings,
    evenness_findings,
    leaks,
    misaligned_columns,
    non_finite_predictions,
    quota_findings,
    read_file_facts,
    serving_gaps,
    shared_with_test,
    splits_by,
)
from outfold.data.predictions import Predictions

TARGETS = ["Dry_Green_g", "Dry_Dead_g", "Dry_Clover_g", "GDM_g", "Dry_Total_g"]


def csiro_oof(shared_data):
    frame = pd.read_csv(shared_data("csiro") / "oof.csv")
    return frame, frame[TARGETS].to_numpy(), frame[[f"pred_{name}" for name in TARGETS]].to_numpy()


def ids(*numbers):
    return frozenset(f"r{number}" for number in numbers)


def folds_of(rows=20, k=5):
    """By fold, the ids that train and the ids that are judged."""
    fold = np.arange(rows) % k
    return [(ids(*np.flatnonzero(fold != number)), ids(*np.flatnonzero(fold == number))) for number in range(k)]


class TestCsiro4th:
    def test_plain_folds_tear_sampling_dates_apart(self, dataset, shared_data, only):
        frame = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv").rename(columns={"ID": "id"})
        frame = frame.drop(columns=["fold", "GroupID"])
        found = only(audit_dataset(*dataset(frame, "regression", TARGETS)), "unnamed-group")
        assert found.level == "warning"
        assert "`Sampling_Date`" in found.what
        assert "of 353 (100%)" in found.impact
        assert "folds.group" in found.fix
        assert found.places[0].note.startswith("Sampling_Date 20")
        grouped = audit_dataset(*dataset(frame, "regression", TARGETS, folds={"group": "Sampling_Date"}))
        assert [one.rule for one in grouped] == []

    def test_auxiliary_folds_all_start_from_main_fold_0(self, only):
        splits = folds_of()
        main = [Artefact(f"main/fold{n}", "weights", train, (), valid) for n, (train, valid) in enumerate(splits)]
        aux = [
            Artefact(f"aux/fold{n}", "weights", train, ("main/fold0",), valid)
            for n, (train, valid) in enumerate(splits)
        ]
        found = only(leaks(main + aux), "fitted-on-judged-rows")
        assert found.level == "error"
        assert "main/fold0" in found.what
        assert "aux/fold1, aux/fold2, aux/fold3 and 1 more" in found.what
        assert {place.id for place in found.places} == splits[0][0]
        clean = [
            Artefact(f"aux/fold{n}", "weights", train, (f"main/fold{n}",), valid)
            for n, (train, valid) in enumerate(splits)
        ]
        assert leaks(main + clean) == []

    def test_trained_on_true_inputs_and_served_missing_or_predicted_ones(self, only):
        train = pd.DataFrame({"Pre_GSHH_NDVI": [0.5, 0.6, 0.7], "Height_Ave_cm": [4.0, 5.0, np.nan]})
        test = pd.DataFrame({"image_path": ["a", "b"], "Height_Ave_cm": [np.nan, np.nan]})
        absent, empty = serving_gaps(list(train.columns), train, test)
        assert (absent.level, empty.level) == ("error", "error")
        assert "is not in the test table" in absent.what
        assert "is empty in the test table" in empty.what
        served = serving_gaps(["Pre_GSHH_NDVI"], train, test, predicted=["Pre_GSHH_NDVI"])
        assert "out-of-fold predictions" in only(served, "input-served-as-prediction").fix
        assert serving_gaps(list(train.columns), train, train) == []

    def test_an_all_zero_answer_of_failed_workers(self, dataset, only):
        rng = np.random.default_rng(0)
        _, data = dataset({"mass": rng.gamma(2, 10, 50)}, "regression", "mass", test={"x": range(20)})
        answer = Predictions(data.test.samples.ids, np.zeros((20, 1)), ("mass",), "value")
        found = only(audit_outcome(data, None, answer), "constant-predictions")
        assert found.level == "error"
        assert "all zero" in found.what


class TestCsiro8th:
    def test_targets_and_predictions_misaligned(self, shared_data, only):
        _, truth, prediction = csiro_oof(shared_data)
        assert misaligned_columns(truth, prediction, TARGETS, "regression") == []
        # The authors' order of targets against the competition's, and every swap of two columns.
        alphabetical = np.argsort(TARGETS)
        for order in (alphabetical, *([*swapped] for swapped in _swaps(5))):
            found = only(misaligned_columns(truth, prediction[:, order], TARGETS, "regression"), "columns-misaligned")
            assert found.level == "error"

    def test_stored_folds_no_better_than_chance(self, shared_data, only):
        frame = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv")
        stored = frame["fold"].to_numpy()
        found = only(
            evenness_findings(stored, {"State": frame["State"]}, frame["Sampling_Date"]), "folds-no-better-than-chance"
        )
        assert found.level == "warning"
        assert "0.508" in found.impact
        assert "0.166 can be reached" in found.impact

    def test_identities_broken_by_separate_thresholds(self, only):
        rng = np.random.default_rng(0)
        parts = rng.gamma(1.0, 20, (300, 3)) * (rng.random((300, 3)) > 0.3)
        truth = np.column_stack([parts, parts[:, 0] + parts[:, 2], parts.sum(axis=1)]).round(4)
        kept = truth * (1 + rng.normal(0, 1e-5, truth.shape))
        assert broken_identities(truth, kept, TARGETS, "regression") == []
        cut = np.where(truth < 12, 0, truth)
        rules = broken_identities(truth, cut, TARGETS, "regression")
        assert {one.rule for one in rules} == {"identity-broken"}
        assert any("`GDM_g = Dry_Green_g + Dry_Clover_g`" in one.what for one in rules)

    def test_identities_broken_in_the_published_predictions(self, shared_data):
        _, truth, prediction = csiro_oof(shared_data)
        found = broken_identities(truth, prediction, TARGETS, "regression")
        assert [one.what.split("`")[1] for one in found] == [
            "GDM_g = Dry_Green_g + Dry_Clover_g",
            "Dry_Total_g = Dry_Dead_g + GDM_g",
        ]

    def test_test_time_training_starts_from_one_folds_weights(self, only):
        splits = folds_of()
        first = [Artefact(f"one/fold{n}", "weights", train, (), valid) for n, (train, valid) in enumerate(splits)]
        adapted = Artefact("two/adapted", "weights", splits[2][0] | {"t1", "t2"}, ("one/fold2",), splits[1][1])
        found = only(leaks([*first, adapted]), "fitted-on-judged-rows")
        assert {place.id for place in found.places} == splits[1][1]

    def test_groups_cut_into_virtual_ones_are_named(self, dataset, only):
        rng = np.random.default_rng(1)
        days = [f"2015/{1 + day % 12}/{1 + day}" for day in range(24)]
        frame = pd.DataFrame({"day": np.repeat(days, 10), "state": np.repeat(["NSW", "WA"], [200, 40])})
        frame["mass"] = rng.gamma(2, 10, 240)
        frame["fold"] = np.r_[np.repeat(np.arange(20) % 5, 10), np.arange(40) % 5]
        rule = {"where": {"state": "WA"}, "parts": 8, "by": "day"}
        found = only(
            audit_dataset(*dataset(frame, "regression", "mass", folds={"column": "fold", "group": "day", "cut": rule})),
            "group-cut",
        )
        assert found.level == "warning"
        assert "4 values of `day`" in found.what
        assert len(found.places) == 40


class TestBirdclef3rd:
    def test_class_floor_resampling_from_all_rows(self, only):
        splits = folds_of()
        drawn = [train | {"r4"} for train, _ in splits]  # a row of a rare class, drawn for every fold
        models = [
            Artefact(f"fold{n}", "weights", rows, (), valid)
            for n, (rows, (_, valid)) in enumerate(zip(drawn, splits, strict=True))
        ]
        found = only(leaks(models), "fitted-on-judged-rows")
        assert [place.id for place in found.places] == ["r4"]
        assert "fold4 was fitted on rows that it is judged on" in found.what

    def test_a_floor_that_never_fires(self, only):
        counts = {"grey heron": 37, "kingfisher": 480}
        assert "floor of 10 rows" in only(quota_findings(counts, floor=10), "quota-never-fires").what
        assert "cap of 500 rows" in only(quota_findings(counts, cap=500), "quota-never-fires").what
        assert {one.level for one in quota_findings(counts, floor=10, cap=500)} == {"note"}  # guards for other data
        assert quota_findings(counts, floor=40, cap=100) == []

    def test_silence_divided_by_its_deviation(self, samples, only):
        clips = samples({"label": ["a", "b", "c", "d"]})
        waves = np.random.default_rng(0).normal(size=(4, 100))
        waves[2] = 0
        silent = only(constant_inputs(clips, waves.std(axis=1)), "constant-input")
        assert [place.id for place in silent.places] == ["tr00002"]
        with np.errstate(invalid="ignore"):
            prediction = (waves / waves.std(axis=1, keepdims=True))[:, :1]
        broken = only(non_finite_predictions(clips, prediction, np.arange(4)), "non-finite-predictions")
        assert [place.id for place in broken.places] == ["tr00002"]

    def test_one_recording_filed_under_two_species_in_two_folds(self, dataset, only):
        frame = pd.DataFrame({"species": np.arange(60) % 3})
        content = tuple(f"key{row if row != 31 else 30}" for row in range(60))
        folds = {"duplicates": "ignore", "seed": 1}
        recipe, data = dataset(frame, "multiclass", "species", folds=folds, content=content)
        assert data.folds.fold[30] != data.folds.fold[31]
        found = audit_dataset(recipe, data)
        across = only(found, "copies-across-folds")
        assert "2 under different labels" in across.what
        assert "duplicates: group" in across.fix
        clash = only(found, "copies-with-different-labels")
        assert [place.note.split(", ")[1] for place in clash.places] == ["label 0", "label 1"]
        grouped = audit_dataset(*dataset(frame, "multiclass", "species", content=content))
        assert [one.rule for one in grouped] == ["copies-with-different-labels"]


class TestIsic1st:
    def test_near_copies_between_years_in_different_folds(self, samples, only):
        rows = samples({"target": np.arange(100) % 2, "source": ["2020"] * 50 + ["2019"] * 50})
        copies = np.full(100, -1)
        copies[[3, 60]], copies[[10, 75]] = 0, 1
        fold = np.zeros(100, dtype=np.int64)
        fold[50:] = 1
        labels = rows.frame["target"].astype(str).tolist()
        found = copy_crossings(rows, copies, labels, splits_by(fold), rows.frame["source"].tolist())
        across = only(found, "copies-across-folds")
        assert "2 sets of copies in several folds: 4 rows, 4 of them across sources" in across.what
        assert across.level == "error"  # 4 of 100 rows

    def test_patients_of_one_source_in_train_and_test(self, samples, only):
        train = samples({"patient_id": ["p1", "p1", "p2", None], "source": ["2020", "2020", "2020", "2019"]})
        test = samples({"patient_id": ["p1", "p9", None]}, "test.csv")
        columns = {"`patient_id`": (train.frame["patient_id"], test.frame["patient_id"])}
        found = only(shared_with_test(train, test, columns), "shared-with-test")
        assert found.impact == "1 test row of 3 (33%) share their `patient_id` with 2 training rows (2 of 2020)"
        assert [place.row for place in found.places] == ["test.csv:2"]

    def test_patients_across_stored_folds(self, dataset, only):
        frame = pd.DataFrame({"patient_id": np.repeat([f"p{n}" for n in range(50)], 4), "target": np.arange(200) % 2})
        frame["fold"] = np.repeat(np.arange(50) % 5, 4)
        frame.loc[[0, 40], "fold"] = 3
        found = only(
            audit_dataset(*dataset(frame, "binary", "target", folds={"column": "fold", "group": "patient_id"})),
            "group-across-folds",
        )
        assert found.level == "error"
        assert "2 values of the group column `patient_id` in several folds: p0, p10" in found.what
        assert len(found.places) == 8

    def test_the_size_of_the_file_tells_the_target(self, dataset, tmp_path, only):
        rng = np.random.default_rng(0)
        target = (rng.random(300) < 0.2).astype(int)
        for row, label in enumerate(target):
            (tmp_path / f"{row}.jpg").write_bytes(b"x" * int(rng.normal(4000 + 900 * label, 400)))
        recipe, data = dataset({"target": target}, "binary", "target")
        facts = read_file_facts([tmp_path / f"{row}.jpg" for row in range(300)])
        found = only(audit_dataset(recipe, data, train=Known(facts=facts)), "file-tells-target")
        assert found.level == "warning"
        assert "size of the file in bytes" in found.what
        assert "ROC-AUC 0.9" in found.impact

    def test_the_source_tells_the_target_where_priors_differ(self, dataset, only):
        rng = np.random.default_rng(0)
        source = np.repeat(["2020", "2019"], [600, 400])
        target = (rng.random(1000) < np.where(source == "2020", 0.01, 0.95)).astype(int)
        found = only(
            audit_dataset(*dataset({"source": source, "target": target}, "binary", "target")), "column-tells-target"
        )
        assert "`source`" in found.what


class TestFine102:
    def test_the_prior_corrected_twice(self, dataset, only):
        frame = pd.DataFrame({"label": np.where(np.arange(200) % 10 == 7, "rare", "common")})
        found = only(
            audit_dataset(*dataset(frame, "multiclass", "label", stage={"balance": "both"})), "prior-corrected-twice"
        )
        assert found.level == "warning"
        assert "a row of rare (20 rows) weighs 81 times one of common (180 rows); 9 times would" in found.impact
        for choice in ("none", "sampler", "class_weight"):
            assert audit_dataset(*dataset(frame, "multiclass", "label", stage={"balance": choice})) == []

    def test_balance_asked_for_where_classes_are_even(self, dataset, only):
        frame = pd.DataFrame({"label": np.arange(100) % 4})
        audited = audit_dataset(*dataset(frame, "multiclass", "label", stage={"balance": "sampler"}, folds={"seed": 3}))
        assert only(audited, "balance-does-nothing").level == "note"


def _swaps(k):
    for first in range(k):
        for second in range(first + 1, k):
            order = list(range(k))
            order[first], order[second] = second, first
            yield order
