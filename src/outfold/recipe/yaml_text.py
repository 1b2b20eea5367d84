"""YAML text to plain values, with the line and column of every key: YAML 1.2's idea of a number, safe tags only."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from outfold.errors import RecipeError

Path = tuple[str | int, ...]
"""Where a value is inside nested mappings and lists, e.g. ("stages", "fit", "phases", 0, "epochs")."""

MAX_NODES = 100_000
"""More than any recipe needs; a file that grows beyond it by aliases of aliases is refused."""


@dataclass(frozen=True)
class Place:
    """Where a key was written: a file with line and column counted from 1, or an override on the command line."""

    origin: str
    line: int | None = None
    column: int | None = None
    laid_over: bool = False
    """Whether what was written there changed what the recipe says itself."""

    def __str__(self) -> str:
        return self.origin if self.line is None else f"{self.origin}, line {self.line}, column {self.column}"


@dataclass
class Document:
    """Nested plain values, and the place where each of them was written."""

    values: Any
    places: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """The place of a path, or of the nearest value around it that was written somewhere."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def changes_below(self, path: Path) -> list[Place]:
        """Where parts of a value were changed after the value itself was written."""
        depth = len(path)
        below = (place for inner, place in self.places.items() if len(inner) > depth and inner[:depth] == path)
        return list(dict.fromkeys(place for place in below if place.laid_over))


class RecipeLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2.

    PyYAML follows YAML 1.1, where `1e-3` is text, `no` and `on` are booleans, `12:30` is 750 and dates are objects.
    Whole numbers with leading zeros stay text, because in a recipe they are labels or ids.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_INTEGER = r"[-+]?(?:0|[1-9][0-9]*)"
_RESOLVERS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", rf"{_INTEGER}|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        rf"{_INTEGER}(?:\.[0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
        r"|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    ("tag:yaml.org,2002:merge", r"<<", ["<"]),
)
for _tag, _pattern, _first in _RESOLVERS:
    RecipeLoader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _first)


class _RecipeDumper(yaml.SafeDumper):
    """Writes text that YAML 1.1 and YAML 1.2 readers both read back as it was."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless  # PyYAML writes lists at their key's own indent; inside it they are easier to read
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    ambiguous = not text.isprintable() or any(re.fullmatch(pattern, text) for _, pattern, _ in _RESOLVERS)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if ambiguous else None)


_RecipeDumper.add_representer(str, _represent_text)
_RecipeDumper.add_representer(tuple, yaml.SafeDumper.represent_list)


def dump_yaml(values: Any) -> str:
    """Nested plain values as block YAML, innermost lists and mappings on one line, in the given order."""
    return yaml.dump(
        values, Dumper=_RecipeDumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )


def inline_yaml(values: Any) -> str:
    """Nested plain values as YAML on one line, e.g. `{scale: [0.6, 1.0]}`."""
    text = yaml.dump(
        values, Dumper=_RecipeDumper, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def parse_yaml(text: str, origin: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the document.
        origin: how errors name it, usually the file's path.

    Raises:
        RecipeError: not YAML, a duplicate key, a tag that is not a plain value, or aliases that never end.
    """
    loader = None
    try:
        loader = RecipeLoader(text)
        node = loader.get_single_node()
        document = Document(None, {(): Place(origin)})
        if node is not None:
            document.values = _Builder(loader, origin, document.places).build(node, ())
        return document
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, origin) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RecipeError(f"{origin}: values are nested too deeply, or an alias contains itself") from error
    finally:
        if loader is not None:
            loader.dispose()


def parse_value(text: str, origin: str) -> Any:
    """One value as it would be read inside a recipe: `3`, `1e-3`, `[a, b]`, `{scale: [0.6, 1]}`, `null`."""
    return parse_yaml(text, origin).values


def _not_yaml(error: yaml.MarkedYAMLError, origin: str) -> RecipeError:
    mark = error.problem_mark or error.context_mark
    place = Place(origin, mark.line + 1, mark.column + 1) if mark else Place(origin)
    message = (error.problem or error.context or "it cannot be read").replace("\\t", "tab")
    fix = "indent with spaces, never with tabs" if "'\t'" in message or "'tab'" in message else None
    return RecipeError(f"{place}: this is not YAML: {message}", fix=fix)


class _Builder:
    """Builds plain values from a tree of YAML nodes and notes where each was written."""

    def __init__(self, loader: RecipeLoader, origin: str, places: dict[Path, Place]) -> None:
        self.loader, self.origin, self.places, self.nodes = loader, origin, places, 0

    def place(self, node: yaml.Node) -> Place:
        return Place(self.origin, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise RecipeError(
                f"{self.place(node)}: the file has more than {MAX_NODES} values once aliases are resolved"
            )
        self.places.setdefault(path, self.place(node))
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self.scalar(node)

    def scalar(self, node: yaml.Node) -> Any:
        plain = ("null", "bool", "int", "float", "str")
        if not isinstance(node, yaml.ScalarNode) or node.tag.removeprefix("tag:yaml.org,2002:") not in plain:
            raise RecipeError(
                f"{self.place(node)}: a recipe holds plain values only", got=node.tag, fix="leave the tag out"
            )
        try:
            return self.loader.construct_object(node)
        except ValueError as error:
            raise RecipeError(f"{self.place(node)}: {node.value!r} does not fit its tag", got=node.tag) from error

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        own = dict(self.own_keys(node))
        self.loader.flatten_mapping(node)  # `<<: *base` becomes leading pairs, which the mapping's own keys replace
        for key_node, value_node in node.value:
            key = key_node.value
            if key in own and own[key] is not key_node:
                continue
            self.places[(*path, key)] = self.place(key_node)
            values[key] = self.build(value_node, (*path, key))
        return values

    def own_keys(self, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
        """The mapping's keys as text (`1:` is the key "1"); refuses a key that is written twice."""
        first: dict[str, yaml.Node] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeError(f"{self.place(key_node)}: a key must be plain text, not a list or a mapping")
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if key_node.value in first:
                raise RecipeError(
                    f"{self.place(key_node)}: the key `{key_node.value}` is written twice",
                    got=f"first on line {first[key_node.value].start_mark.line + 1}",
                    fix="keep one of the two",
                )
            first[key_node.value] = key_node
            yield key_node.value, key_node
