"""The JSON Schema of a recipe, for editors that complete and check YAML."""

from typing import Any, get_args

from outfold.settings.mel_presets import PRESETS
from outfold.settings.predicting import TTA_SETS
from outfold.settings.recipe import Recipe
from outfold.settings.track import Track

TEXT = {"type": "string"}
SHORT_FORMS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("Recipe", "track"): [{"enum": list(get_args(Track.model_fields["to"].annotation))}],
    ("Data", "train"): [TEXT, {"$ref": "#/$defs/Source"}],
    ("Data", "unlabelled"): [TEXT, {"$ref": "#/$defs/Source"}],
    ("Data", "test"): [TEXT],
    ("Source", "recordings"): [TEXT],
    ("AudioView", "mel"): [
        {"enum": list(PRESETS)},
        {"type": "object", "properties": {"preset": {"enum": list(PRESETS)}}, "required": ["preset"]},
    ],
    ("Task", "target"): [TEXT],
    ("Score", "where"): [TEXT],
    ("Folds", "group"): [TEXT],
    ("Folds", "stratify"): [TEXT],
    ("Folds", "cut"): [{"$ref": "#/$defs/Cut"}],
    ("Duplicates", "weights"): [TEXT],
    ("Predict", "tta"): [{"enum": sorted(TTA_SETS)}],
    ("TrainSettings", "weights"): [TEXT],
    ("TrainStage", "target"): [TEXT],
    ("TrainSettings", "init_from"): [TEXT],
    ("EmbeddingView", "vectors"): [TEXT],
    ("EmbeddingView", "ids"): [TEXT],
    ("AdaptStage", "members"): [TEXT],
    ("BlendStage", "from"): [TEXT],
}
"""Forms that the models' `before` validators accept and pydantic's schema does not know: (model, key) -> schemas."""

SHORT_ITEMS = (("Data", "train"), ("Data", "unlabelled"), ("TableInputs", "numeric"), ("TableInputs", "categorical"))
"""Lists whose items may be plain text: (model, key)."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, short forms included."""
    schema = Recipe.model_json_schema(by_alias=True)
    models = {**schema["$defs"], "Recipe": schema}
    for model, key in SHORT_ITEMS:
        sources = models[model]["properties"][key]
        sources["items"] = {"anyOf": [TEXT, sources["items"]]}
    for (model, key), forms in SHORT_FORMS.items():
        heirs = ["Member", "TrainStage"] if model == "TrainSettings" else [model]
        for name in heirs:
            models[name]["properties"][key] = _with_forms(models[name]["properties"][key], forms)
    models["Source"]["anyOf"] = [{"required": [name]} for name in (*models["Source"].pop("required"), "recordings")]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_forms(value: dict[str, Any], forms: list[dict[str, Any]]) -> dict[str, Any]:
    notes = {name: text for name, text in value.items() if name in ("description", "default", "title")}
    rest = {name: part for name, part in value.items() if name not in notes}
    return {**notes, "anyOf": [*rest.get("anyOf", [rest]), *forms]}
