import json
import sys

from outfold.recipe.json_schema import SHORT_FORMS, SHORT_ITEMS, json_schema


def test_the_json_schema_describes_the_recipe() -> None:
    schema = json.loads(json.dumps(json_schema()))
    (stage,) = schema["properties"]["stages"]["patternProperties"].values()
    assert stage["discriminator"]["propertyName"] == "kind"
    assert schema["additionalProperties"] is False
    assert "Rows with byte-identical files share a fold" in json.dumps(schema)


def test_the_json_schema_knows_every_short_form() -> None:
    """A model with a `before` validator accepts more than pydantic's own schema says."""
    schema = json_schema()
    definitions = {**schema["$defs"], "Recipe": schema}
    for (model, key), forms in SHORT_FORMS.items():
        for name in ("Member", "TrainStage") if model == "TrainSettings" else (model,):
            assert all(form in definitions[name]["properties"][key]["anyOf"] for form in forms)
    for model, key in SHORT_ITEMS:
        value = definitions[model]["properties"][key]
        (items,) = [form["items"] for form in value.get("anyOf", [value]) if "items" in form]
        assert {"type": "string"} in items["anyOf"]
    modules = [module for name, module in sys.modules.items() if name.startswith("outfold.settings.")]
    models = {
        m for module in modules for m in vars(module).values() if isinstance(m, type) and hasattr(m, "model_fields")
    }
    validated = {
        model.__name__
        for model in models
        for decorator in model.__pydantic_decorators__.model_validators.values()
        if decorator.info.mode == "before"
    }
    known = {model for model, _ in (*SHORT_FORMS, *SHORT_ITEMS)}
    # A text as `Weights`, `InitFrom` or `Track` is a short form of the settings that hold it, which are listed.
    assert validated <= known | {"Weights", "InitFrom", "Track"}
