"""Where everything fitted comes from, and whether it is judged on rows that it or an ancestor has seen.

Anything that is fitted on rows is an artefact: weights, a scaler, an encoder, class weights, a threshold, a blend's
weights, pseudo-labels. An artefact has seen the rows it was fitted on and the rows that its ancestors have seen. It
must not be judged on any of them, nor on a row of the same group, nor on a copy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from outfold.data.findings import Finding, Place, count, listed

OWN_ROWS = "the row itself"


@dataclass(frozen=True)
class Artefact:
    """Something fitted, and what relies on it."""

    name: str
    """Unique, as in `fit/b3/fold0-seed0`."""
    kind: str
    """What it is, in a word: weights, scaler, encoder, class weights, threshold, blend, pseudo-labels."""
    fitted_on: frozenset[str] | None = frozenset()
    """Ids of the rows it was fitted on, without those of its ancestors; None where nobody knows."""
    inherits: tuple[str, ...] = ()
    """Names of the artefacts it was made from: initial weights, teachers, the scaler of its inputs."""
    judged_on: frozenset[str] = frozenset()
    """Ids whose out-of-fold prediction, pseudo-label or score relies on it."""


@dataclass
class _Leak:
    """All artefacts that one culprit spoils in one way."""

    culprit: Artefact
    relation: str
    victims: list[Artefact] = field(default_factory=list)
    ids: dict[str, None] = field(default_factory=dict)
    judged: dict[str, None] = field(default_factory=dict)


def leaks(artefacts: Sequence[Artefact], related: Mapping[str, Mapping[str, object]] | None = None) -> list[Finding]:
    """Artefacts that are judged on rows they have seen, by themselves or through an ancestor.

    Args:
        artefacts: all of a run, ancestors included; a name may stand for weights from outside (`fitted_on=None`).
        related: by relation ("group", "copy"), id -> label; rows of one label count as one. Ids without a label are
            related to none.

    Returns:
        One error for each culprit and way of leaking, with all that it spoils; errors for artefacts that descend from
        themselves, for ancestors that are not there and for names given twice; one note for those of unknown origin.
    """
    by_name = {artefact.name: artefact for artefact in artefacts}
    broken = _twice(artefacts) + _strangers(artefacts, by_name) + _cycles(artefacts, by_name)
    found: dict[tuple[str, str], _Leak] = {}
    for artefact in artefacts:
        if artefact.judged_on:
            _judge(artefact, _lineage(artefact, by_name), related or {}, found)
    worst = sorted(found.values(), key=lambda leak: -len(leak.ids))
    return broken + [_leak_finding(leak) for leak in worst] + _unknown(artefacts, by_name)


def _judge(
    artefact: Artefact,
    lineage: Sequence[Artefact],
    related: Mapping[str, Mapping[str, object]],
    found: dict[tuple[str, str], _Leak],
) -> None:
    """Add the rows on which one artefact is judged and that its lineage has seen; each row once, the nearest way."""
    left = dict.fromkeys(sorted(artefact.judged_on))
    for relation in (OWN_ROWS, *related):
        labels = related.get(relation, {})
        for ancestor in lineage:
            seen = ancestor.fitted_on or frozenset()
            if relation == OWN_ROWS:
                hits = [name for name in left if name in seen]
            else:
                known = {labels[name] for name in seen if labels.get(name) is not None}
                hits = [name for name in left if labels.get(name) in known]
            if hits:
                leak = found.setdefault((ancestor.name, relation), _Leak(ancestor, relation))
                leak.victims.append(artefact)
                leak.ids |= dict.fromkeys(hits)
                leak.judged |= dict.fromkeys(artefact.judged_on)
                left = {name: None for name in left if name not in set(hits)}


def _lineage(artefact: Artefact, by_name: Mapping[str, Artefact]) -> list[Artefact]:
    """The artefact and all that it descends from, nearest first, each once."""
    lineage, waiting, known = [], [artefact.name], {artefact.name}
    while waiting:
        one = by_name.get(waiting.pop(0))
        if one is None:
            continue
        lineage.append(one)
        new = [name for name in one.inherits if name not in known]
        known.update(new)
        waiting += new
    return lineage


def _leak_finding(leak: _Leak) -> Finding:
    culprit, names = leak.culprit, [victim.name for victim in leak.victims]
    how = {OWN_ROWS: "rows", "group": "rows of groups", "copy": "copies of rows"}.get(leak.relation, leak.relation)
    what = f"{culprit.kind} {culprit.name} was fitted on {how} that it is judged on"
    if names != [culprit.name]:
        others = [name for name in names if name != culprit.name]
        too = " also" if culprit.name in names else ""
        what = f"{_of_kinds(leak.victims, culprit.name)} {listed(others, 3)}{too} descend from {culprit.kind} "
        what += f"{culprit.name}, which was fitted on {how} that they are judged on"
    impact = f"{count(len(leak.ids), 'row')} of {len(leak.judged):,} judged are no longer out of fold"
    fix = (
        "fit it on the training rows of each fold alone"
        if names == [culprit.name]
        else "start each from what was fitted on the same fold's training rows, or judge on rows that none has seen"
    )
    return Finding("error", what, _places(leak.ids), fix, "fitted-on-judged-rows", impact)


def _of_kinds(victims: Iterable[Artefact], without: str) -> str:
    return " and ".join(dict.fromkeys(victim.kind for victim in victims if victim.name != without))


def _places(ids: Iterable[str]) -> tuple[Place, ...]:
    return tuple(Place("", name) for name in ids)


def _twice(artefacts: Sequence[Artefact]) -> list[Finding]:
    names = [artefact.name for artefact in artefacts]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if not twice:
        return []
    what = f"{count(len(twice), 'artefact name')} given twice: {listed(twice)}"
    return [_unclear(what, "give each artefact a name of its own")]


def _strangers(artefacts: Sequence[Artefact], by_name: Mapping[str, Artefact]) -> list[Finding]:
    missing: dict[str, list[str]] = {}
    for artefact in artefacts:
        for name in artefact.inherits:
            if name not in by_name:
                missing.setdefault(name, []).append(artefact.name)
    fix = "record what it was fitted on (None where nobody knows), so that its descendants can be judged"
    told = {name: f"{listed(heirs, 3)} descends from {name}, which is not known" for name, heirs in missing.items()}
    return [_unclear(what, fix) for what in told.values()]


def _cycles(artefacts: Sequence[Artefact], by_name: Mapping[str, Artefact]) -> list[Finding]:
    circular = [
        artefact.name
        for artefact in artefacts
        if any(
            artefact.name in one.inherits
            for one in _lineage(artefact, by_name)  # an ancestor, or it itself, was made from it
        )
    ]
    if not circular:
        return []
    what = f"{count(len(circular), 'artefact')} descended from themselves: {listed(circular)}"
    return [_unclear(what, "say which was fitted first; what came later cannot be its ancestor")]


def _unclear(what: str, fix: str) -> Finding:
    return Finding("error", what, (), fix, "lineage-unclear")


def _unknown(artefacts: Sequence[Artefact], by_name: Mapping[str, Artefact]) -> list[Finding]:
    unknown = [artefact for artefact in artefacts if artefact.fitted_on is None]
    heirs = [
        artefact.name
        for artefact in artefacts
        if artefact.judged_on and any(one.fitted_on is None for one in _lineage(artefact, by_name))
    ]
    if not unknown or not heirs:
        return []
    what = f"{_kinds(unknown)} of unknown origin: {listed(one.name for one in unknown)}"
    impact = f"{count(len(heirs), 'artefact')} descended from them are judged: whether the rows were seen, nobody knows"
    fix = "make sure that pretraining did not see these rows; public weights may have seen public data"
    return [Finding("note", what, (), fix, "unknown-origin", impact)]


def _kinds(artefacts: Iterable[Artefact]) -> str:
    return " and ".join(dict.fromkeys(artefact.kind for artefact in artefacts))
