import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.errors import RecipeError
from outfold.recipe.yaml_text import Place, dump_yaml, inline_yaml, parse_value, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("3.", 3.0),
        (".inf", float("inf")),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("0x1F", 31),
        ("01", "01"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2020-01-31", "2020-01-31"),
        ("no", "no"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1e-3'", "1e-3"),
        ("[no, 1e-3, 01]", ["no", 1e-3, "01"]),
        ("{1: a, no: b}", {"1": "a", "no": "b"}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_value(text, "x")
    assert parsed == value
    assert type(parsed) is type(value)


def test_places_are_those_of_the_keys() -> None:
    document = parse_yaml("a:\n  b: [1, {c: 2}]\n  d: 3\n", "f.yaml")
    assert document.place(("a", "b")) == Place("f.yaml", 2, 3)
    assert document.place(("a", "b", 1, "c")) == Place("f.yaml", 2, 11)
    assert document.place(("a", "nowhere", "deep")) == Place("f.yaml", 1, 1)
    assert str(document.place(("a", "d"))) == "f.yaml, line 3, column 3"


def test_anchors_and_merge_keys() -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: *b\n"
    assert parse_yaml(text, "f").values == {"base": {"x": 1, "y": 2}, "one": {"x": 1, "y": 3}, "two": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml, line 3, column 1: the key `a` is written twice"),
        ("a: [1\nb: 2", "f.yaml, line 2"),
        ("a:\n\t- 1", "line 2"),
        ("a: !!python/object/apply:os.system ['true']", "plain values only"),
        ("a: !!set {x}", "plain values only"),
        ("a: !!int x", "does not fit its tag"),
        ("? [1, 2]\n: 3", "a key must be plain text"),
        ("a: &a [*a]", "contains itself"),
        ("[" * 600, "nested too deeply"),
        ("a: \x01", "not YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml"),
    ],
)
def test_faults_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=r"f\.yaml") as error:
        parse_yaml(text, "f.yaml")
    assert message in str(error.value)


def test_a_laughing_file_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(RecipeError, match="once aliases are resolved"):
        parse_yaml("\n".join(lines), "f.yaml")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(plain)
def test_what_is_written_is_read_back_here_and_by_pyyaml(values: object) -> None:
    text = dump_yaml({"value": values})
    assert parse_yaml(text, "f").values == {"value": values}
    assert yaml.safe_load(text) == {"value": values}


@settings(deadline=None)
@given(plain)
def test_inline_yaml_is_one_line(values: object) -> None:
    text = inline_yaml(values)
    assert "\n" not in text
    assert parse_value(text, "f") == values
