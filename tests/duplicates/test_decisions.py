"""Decisions are read as the review page writes them, and mistakes are named."""

import pytest

from outfold.duplicates.decisions import read_decisions, write_decisions
from outfold.errors import DataError

IDS = ["a", "b", "007", "7"]


def written(tmp_path, text):
    path = tmp_path / "decisions.csv"
    path.write_text("first,second,decision,similarity\n" + text)
    return path


def test_reads_pairs_in_either_order_and_keeps_ids_as_text(tmp_path):
    path = written(tmp_path, "b,a,same,0.98\n007,7,different,0.91\na,007,unsure,\na,b,same,0.98\n")
    assert read_decisions(path, IDS) == {("a", "b"): "same", ("007", "7"): "different", ("007", "a"): "unsure"}


def test_what_is_written_is_read(tmp_path):
    decisions = {("a", "b"): "same", ("007", "7"): "different"}
    path = write_decisions(tmp_path / "d.csv", decisions, {("a", "b"): 0.98})
    assert read_decisions(path, IDS) == decisions
    assert path.read_text().splitlines()[:2] == ["first,second,decision,similarity", "a,b,same,0.98"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,z,same,1\n", r"csv:2: no row has the id z"),
        ("a,,same,1\n", r"csv:2: no row has the id None"),
        ("a,a,same,1\n", r"csv:2: a is paired with itself"),
        ("a,b,maybe,1\n", r"csv:2: not a decision[\s\S]*maybe[\s\S]*same, different or unsure"),
        ("a,b,same,1\na,7,unsure,1\nb,a,different,1\n", r"csv:4: b and a have another decision in line 2"),
    ],
)
def test_mistakes_are_named(tmp_path, rows, words):
    with pytest.raises(DataError, match=words):
        read_decisions(written(tmp_path, rows), IDS)


def test_other_tables_are_refused(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("first,second\na,b\n")
    with pytest.raises(DataError, match="decision"):
        read_decisions(path, IDS)
