"""What trackers are told, as flat names and numbers."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from outfold.settings.recipe import Recipe

Scalar = str | int | float | bool | None


def parameters_of(recipe: Recipe) -> dict[str, Scalar]:
    """What the recipe sets, by dotted path: `stages.fit.phases.0.lr`.

    Lists of plain values are one JSON text; profiles and the tracker's own settings are left out.
    """
    return dict(_flat(recipe.model_dump(by_alias=True, mode="json", exclude_unset=True, exclude={"profiles", "track"})))


def finite_figures(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a row, by name."""
    return {name: float(value) for name, value in row.items() if _is_number(value) and math.isfinite(value)}


def final_figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """A summary's scores with their intervals, and those of every stage and member.

    Names: `score/METRIC`, `score_low/METRIC`, `score_high/METRIC`, `STAGE/oof/METRIC`, `STAGE/MEMBER/oof/METRIC`.
    """
    figures: dict[str, Any] = {}
    for metric, entry in summary.get("scores", {}).items():
        figures[f"score/{metric}"] = entry["value"]
        figures |= {f"score_{end}/{metric}": entry[end] for end in ("low", "high")}
    for stage, part in summary.get("stages", {}).items():
        places = {stage: part} | {f"{stage}/{name}": member for name, member in part.get("members", {}).items()}
        for place, judged in places.items():
            figures |= {f"{place}/oof/{name}": entry["value"] for name, entry in judged.get("scores", {}).items()}
    return finite_figures(figures)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(values: Any, path: str = "") -> Iterator[tuple[str, Scalar]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(values, list) and any(isinstance(value, dict) for value in values):
        for place, value in enumerate(values):
            yield from _flat(value, f"{path}.{place}")
    else:
        yield path, json.dumps(values, ensure_ascii=False) if isinstance(values, dict | list) else values
