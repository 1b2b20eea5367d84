"""The JSON Schema of a recipe, for editors that complete and check YAML."""

from typing import Any

from outfold.settings.recipe import Recipe
from outfold.settings.train import TTA_SETS

SHORT_FORMS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("Data", "train"): [{"type": "string"}, {"$ref": "#/$defs/Source"}],
    ("Data", "test"): [{"type": "string"}],
    ("Task", "target"): [{"type": "string"}],
    ("Folds", "group"): [{"type": "string"}],
    ("Folds", "stratify"): [{"type": "string"}],
    ("Folds", "cut"): [{"$ref": "#/$defs/Cut"}],
    ("Duplicates", "weights"): [{"type": "string"}],
    ("Predict", "tta"): [{"enum": sorted(TTA_SETS)}],
    ("TrainSettings", "weights"): [{"type": "string"}],
}
"""Forms that the models' `before` validators accept and pydantic's schema does not know: (model, key) -> schemas."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, short forms included."""
    schema = Recipe.model_json_schema(by_alias=True)
    models = schema["$defs"]
    for (model, key), forms in SHORT_FORMS.items():
        heirs = ["Member", "TrainStage"] if model == "TrainSettings" else [model]
        for name in heirs:
            models[name]["properties"][key] = _with_forms(models[name]["properties"][key], forms)
    # A list of sources may name its tables plainly, too.
    sources = models["Data"]["properties"]["train"]["anyOf"][0]
    sources["items"] = {"anyOf": [{"type": "string"}, sources["items"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_forms(value: dict[str, Any], forms: list[dict[str, Any]]) -> dict[str, Any]:
    notes = {name: text for name, text in value.items() if name in ("description", "default", "title")}
    rest = {name: part for name, part in value.items() if name not in notes}
    return {**notes, "anyOf": [*rest.get("anyOf", [rest]), *forms]}
