"""Writes a commented recipe from guessed roles."""

import re

from outfold.recipe.guess.roles import FOLDS, Roles
from outfold.recipe.guess.stages import stage_lines
from outfold.recipe.yaml_text import inline_yaml
from outfold.settings.task import TaskKind

_METRICS: dict[TaskKind, tuple[str, list[str]]] = {
    "multiclass": ("macro_f1", ["accuracy", "log_loss"]),
    "binary": ("roc_auc", ["average_precision", "log_loss"]),
    "multilabel": ("macro_roc_auc", ["macro_average_precision"]),
    "regression": ("r2", ["rmse", "mae"]),
}
"""The metric a written recipe is judged by, and those reported beside it."""

_ONE_ORIGIN = {
    "photos": "photos show one thing (a patient, a plot, a shelf)",
    "recordings": "recordings have one origin (a recordist, a site, a night)",
}


def recipe_name(text: str) -> str:
    """A text as a recipe's name: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or "my-recipe"


def compose(
    roles: Roles, *, name: str, table: str, test_table: str | None, command: str, next_commands: list[str]
) -> str:
    """The text of a recipe with the reason of each guess as a comment.

    Args:
        roles: the guesses; `roles.media` must be there.
        name: the recipe's name.
        table: the training table, relative to the data root.
        test_table: a second table without targets, relative to the data root.
        command: how this recipe was asked for.
        next_commands: what to type next.
    """
    lines = [
        f"# Written by `{command}` from {roles.rows} rows. Every role is a guess with its reason: mend what is wrong."
    ]
    lines += [
        "# Next:",
        *(f"#   {text}" for text in next_commands),
        *_warnings(roles),
        f"name: {inline_yaml(name)}",
        "",
    ]
    lines += [
        *_data(roles, table, test_table),
        "",
        *_task(roles),
        "",
        *_folds(roles),
        "",
        *stage_lines(roles, test_rows_exist(roles, test_table)),
        "",
    ]
    return "\n".join(lines)


def test_rows_exist(roles: Roles, test_table: str | None) -> bool:
    """Whether there are rows to predict at the end of a run."""
    return test_table is not None or bool(roles.split and roles.split.test) or _test_recordings(roles) is not None


def _test_recordings(roles: Roles) -> str | None:
    return roles.sound.test if roles.sound is not None and roles.long is None else None


def _warnings(roles: Roles) -> list[str]:
    return ["#", "# Beware:", *(f"#   - {_one_line(text)}" for text in roles.warnings)] if roles.warnings else []


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _data(roles: Roles, table: str, test_table: str | None) -> list[str]:
    split, media = roles.split, roles.media
    if media is None:
        raise ValueError("a recipe needs media")
    lines = ["data:"]
    if split is None:
        lines.append(f"  train: {inline_yaml(table)}")
    else:
        lines += _split_sources(roles, table, test_table)
    if test_table is None and not (split and split.test) and (pattern := _test_recordings(roles)) is not None:
        window = {"recordings": {"path": pattern, "window_s": roles.sound.window_s if roles.sound else None}}
        lines.append(f"  test: {inline_yaml(window)}  # a row for each window")
    if test_table is not None:
        lines.append(f"  test: {inline_yaml(test_table)}  # the table beside it that has the same id column")
    lines.append(f"  id: {inline_yaml(roles.id.columns[0])}  # {_one_line(roles.id.why)}")
    if roles.long is not None:
        lines.append(f"  long: {inline_yaml(roles.long.model_dump(exclude_none=True))}  # a row a sample and target")
    lines.append(f"  {media.kind}: {inline_yaml({'path': media.template})}  # {media.why}")
    if roles.rating is not None:
        rating = inline_yaml(roles.rating.model_dump(exclude_unset=True))
        lines.append(f"  rating: {rating}  # rows weigh rating / {roles.rating.best:g}; those without a rating 1")
    if roles.numeric or roles.categorical:
        lines.append(
            f"  # Columns without a role. {media.things.capitalize()} alone are the input; these may serve as "
            "folds.stratify or folds.group:"
        )
    lines += [f"  #   numeric: {inline_yaml(list(roles.numeric))}"] if roles.numeric else []
    lines += [f"  #   categorical: {inline_yaml(list(roles.categorical))}"] if roles.categorical else []
    return lines


def _split_sources(roles: Roles, table: str, test_table: str | None) -> list[str]:
    split = roles.split
    if split is None:
        return []
    where = {split.column: split.train[0] if len(split.train) == 1 else list(split.train)}
    lines = [f"  train: {inline_yaml({'table': table, 'where': where})}  # `{split.column}` says which rows are which"]
    if split.valid:
        more = {split.column: [*split.train, *split.valid]}
        lines.append(
            f"  # The rows of {', '.join(split.valid)} are not used: outfold makes its own folds. To train on them too:"
        )
        lines.append(f"  #   train: {inline_yaml({'table': table, 'where': more})}")
    if split.test and test_table is None:
        where = {split.column: split.test[0] if len(split.test) == 1 else list(split.test)}
        lines.append(f"  test: {inline_yaml({'table': table, 'where': where})}")
    return lines


def _task(roles: Roles) -> list[str]:
    goal = roles.target
    metric, metrics = _METRICS[goal.kind]
    target = goal.columns[0] if len(goal.columns) == 1 else list(goal.columns)
    lines = ["task:", f"  kind: {goal.kind}"]
    lines.append(f"  target: {inline_yaml(target)}  # {_one_line(goal.why)}")
    lines += (
        ["  # It could also have been:", *(f"  #   {_one_line(f'{name} ({why})')}" for name, why in goal.others[:6])]
        if goal.others
        else []
    )
    lines += [f"  metric: {metric}  # choose the one you are judged by", f"  metrics: {inline_yaml(metrics)}"]
    if roles.label_sets:
        lines.append("  label_sets: true  # a cell holds all labels of a row: one, or a list of them as text")
    if roles.secondary is not None:
        secondary = inline_yaml({"column": roles.secondary.columns[0]})
        lines.append(f"  secondary: {secondary}  # {_one_line(roles.secondary.why)}; the loss passes over them")
    if goal.kind == "binary":
        lines.append("  # positive: the label that counts as 1; the larger of the two when not given")
    return lines


def _folds(roles: Roles) -> list[str]:
    names = [group.columns[0] for group in roles.groups]
    together = _ONE_ORIGIN["photos" if roles.media is None else roles.media.things]
    if roles.fold and roles.use_fold:
        lines = ["folds:", f"  column: {inline_yaml(roles.fold)}  # the table brings its own folds"]
        return lines + [f"  # No value of {', '.join(f'`{name}`' for name in names)} lies in two of them."] * bool(
            names
        )
    lines = ["folds:", f"  k: {FOLDS}"]
    if names:
        reasons = "; ".join(f"{_one_line(group.columns[0])}: {_one_line(group.why)}" for group in roles.groups)
        lines.append(f"  group: {inline_yaml(names)}  # {reasons}")
    else:
        lines.append(f"  # No column looks like a group. Where several {together}, name")
        lines.append("  # the column that says which, or the score will flatter:  group: COLUMN")
    lines += [f"  stratify: {inline_yaml(name)}" for name in roles.stratify]
    return lines
