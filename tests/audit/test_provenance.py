import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.audit import Artefact, leaks

KINDS = st.sampled_from(["scaler", "encoder", "class weights", "threshold", "pseudo-labels"])


@st.composite
def systems(draw):
    """A clean k-fold system of one to three stages: each fold's artefacts descend from that fold's own."""
    n, k = draw(st.integers(6, 30)), draw(st.integers(2, 5))
    fold = np.array(draw(st.permutations(list(range(n))))) % k
    artefacts = []
    for stage in range(draw(st.integers(1, 3))):
        for number in range(k):
            train = frozenset(f"r{row}" for row in np.flatnonzero(fold != number))
            valid = frozenset(f"r{row}" for row in np.flatnonzero(fold == number))
            before = (f"weights{stage - 1}/{number}",) if stage else ()
            own = f"helper{stage}/{number}"
            artefacts.append(Artefact(own, draw(KINDS), train))
            artefacts.append(Artefact(f"weights{stage}/{number}", "weights", train, (*before, own), valid))
    return artefacts, {f"r{row}": int(number) for row, number in enumerate(fold)}


@given(systems())
def test_a_clean_system_is_never_flagged(system):
    artefacts, fold = system
    assert leaks(artefacts) == []
    assert leaks(artefacts, {"group": fold, "copy": dict.fromkeys(fold)}) == []


@given(systems(), st.data())
def test_any_planted_row_is_always_flagged(system, data):
    artefacts, _ = system
    place = data.draw(st.integers(0, len(artefacts) - 1))
    victims = [one for one in artefacts if _descends(one, artefacts[place].name, artefacts) and one.judged_on]
    if not victims:
        return
    row = data.draw(st.sampled_from(sorted(data.draw(st.sampled_from(victims)).judged_on)))
    culprit = artefacts[place]
    planted = Artefact(culprit.name, culprit.kind, culprit.fitted_on | {row}, culprit.inherits, culprit.judged_on)
    found = leaks([*artefacts[:place], planted, *artefacts[place + 1 :]])
    assert [one.rule for one in found] == ["fitted-on-judged-rows"]
    assert {place.id for place in found[0].places} == {row}
    assert culprit.name in found[0].what


@given(systems(), st.data())
def test_a_relative_is_as_bad_as_the_row_itself(system, data):
    artefacts, fold = system
    relation = data.draw(st.sampled_from(["group", "copy"]))
    first, second = data.draw(st.lists(st.sampled_from(sorted(fold)), min_size=2, max_size=2, unique=True))
    found = leaks(artefacts, {relation: {first: "together", second: "together"}})
    if fold[first] == fold[second]:
        assert found == []
    else:
        assert {place.id for one in found for place in one.places} == {first, second}


def _descends(one, name, artefacts):
    by_name = {artefact.name: artefact for artefact in artefacts}
    return one.name == name or any(_descends(by_name[parent], name, artefacts) for parent in one.inherits)


def rows(*numbers):
    return frozenset(f"r{number}" for number in numbers)


@pytest.mark.parametrize("kind", ["scaler", "encoder", "threshold", "class weights"])
def test_fitted_on_validation_rows(only, kind):
    shared = Artefact(f"all rows' {kind}", kind, rows(*range(10)))
    weights = Artefact("fold0", "weights", rows(*range(5, 10)), (shared.name,), rows(*range(5)))
    found = only(leaks([shared, weights]), "fitted-on-judged-rows")
    assert f"descend from {kind} all rows' {kind}" in found.what
    assert found.impact == "5 rows of 5 judged are no longer out of fold"


def test_blend_weights_fitted_on_the_rows_they_are_scored_on(only):
    found = only(leaks([Artefact("blend", "blend", rows(1, 2, 3), (), rows(1, 2, 3))]), "fitted-on-judged-rows")
    assert "blend was fitted on rows that it is judged on" in found.what


@pytest.mark.parametrize("relation", ["row", "group", "copy"])
def test_a_pseudo_label_from_a_model_that_saw_the_row(only, relation):
    seen = "r1" if relation == "row" else "kin"
    teacher = Artefact("teacher", "weights", frozenset({seen, "r7"}))
    labels = Artefact("pseudo", "pseudo-labels", frozenset(), ("teacher",), rows(1, 2))
    related = {} if relation == "row" else {relation: {"r1": 4, "kin": 4, "r2": 5}}
    found = only(leaks([teacher, labels], related), "fitted-on-judged-rows")
    assert [place.id for place in found.places] == ["r1"]
    assert {"row": "on rows", "group": "of groups", "copy": "on copies"}[relation] in found.what


def test_a_student_is_judged_on_rows_that_its_labels_teacher_saw(only):
    teacher = Artefact("teacher", "weights", rows(0, 1, 2))
    pseudo = Artefact("pseudo", "pseudo-labels", frozenset(), ("teacher",), frozenset({"u1"}))
    student = Artefact("student", "weights", rows(2, 3), ("pseudo",), rows(0, 4))
    assert [place.id for place in only(leaks([teacher, pseudo, student]), "fitted-on-judged-rows").places] == ["r0"]


def test_cycles_strangers_and_twins_are_errors():
    loop = [Artefact("a", "weights", rows(1), ("b",)), Artefact("b", "weights", rows(2), ("a",), rows(9))]
    (cycle,) = leaks(loop)
    assert (cycle.level, cycle.rule) == ("error", "lineage-unclear")
    assert "2 artefacts descended from themselves: a, b" in cycle.what
    (stranger,) = leaks([Artefact("a", "weights", rows(1), ("nowhere",), rows(2))])
    assert "descends from nowhere, which is not known" in stranger.what
    (twins,) = leaks([Artefact("a", "weights"), Artefact("a", "scaler")])
    assert "given twice: a" in twins.what


def test_weights_of_unknown_origin_are_a_note():
    old = Artefact("found.pt", "weights", None)
    new = Artefact("fold0", "weights", rows(1), ("found.pt",), rows(2))
    (found,) = leaks([old, new])
    assert (found.level, found.rule) == ("note", "unknown-origin")
    assert leaks([old]) == []


def test_many_rows_and_models_take_no_time():
    n, k = 33_000, 5
    everyone = np.array([f"r{row}" for row in range(n)], dtype=object)
    fold = np.arange(n) % k
    artefacts = [
        Artefact(f"m{m}/{f}", "weights", frozenset(everyone[fold != f]), (), frozenset(everyone[fold == f]))
        for m in range(3)
        for f in range(k)
    ]
    related = {"group": dict(zip(everyone, (fold + k * (np.arange(n) // 50)).tolist(), strict=True))}
    assert leaks(artefacts, related) == []
