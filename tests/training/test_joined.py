import numpy as np
import pytest

from outfold.training.examples import Examples, Split
from outfold.training.joined import joined_examples, joined_split
from outfold.views.inputs import JoinedInput, VectorInput


def examples(name: str, count: int, weight: np.ndarray | None = None) -> Examples:
    vectors = np.arange(2 * count, dtype=np.float32).reshape(count, 2) + (100 if name == "b" else 0)
    ids = np.array([f"{name}{row}" for row in range(count)], dtype=object)
    return Examples(ids, {"x": VectorInput(vectors)}, vectors / 10, weight)


def read(one: Examples, row: int) -> list[float]:
    return one.inputs["x"].reader(augment=True)(row, np.random.default_rng(0)).tolist()


def test_rows_of_the_second_table_lie_below_those_of_the_first() -> None:
    first, second = examples("a", 3), examples("b", 2)
    both = joined_examples(first, second)
    assert both.ids.tolist() == ["a0", "a1", "a2", "b0", "b1"]
    assert [read(both, row) for row in range(5)] == [*(read(first, row) for row in range(3)), [100, 101], [102, 103]]
    np.testing.assert_array_equal(both.target, np.concatenate([first.target, second.target]))
    assert isinstance(both.inputs["x"], JoinedInput)
    assert both.weight is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, [[0.5], [0.5]], [[1], [1], [1], [0.5], [0.5]]),
        ([[2], [1], [0]], None, [[2], [1], [0], [1], [1]]),
        ([[2, 0], [1, 1], [0, 1]], [[0.5], [0.25]], [[2, 0], [1, 1], [0, 1], [0.5, 0.5], [0.25, 0.25]]),
    ],
)
def test_a_table_without_weights_counts_as_one(first: object, second: object, expected: object) -> None:
    weights = [None if one is None else np.array(one, dtype=np.float32) for one in (first, second)]
    both = joined_examples(examples("a", 3, weights[0]), examples("b", 2, weights[1]))
    assert both.weight is not None
    assert both.weight.dtype == np.float32
    np.testing.assert_array_equal(both.weight, expected)


def test_rows_below_train_as_often_as_they_are_repeated_and_never_judge() -> None:
    split = joined_split(Split(np.array([0, 2]), np.array([1])), 3, np.array([1, 3, 2]))
    assert split.train.tolist() == [0, 2, 3, 4, 4, 4, 5, 5]
    assert split.valid.tolist() == [1]
