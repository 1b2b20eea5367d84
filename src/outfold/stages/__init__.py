"""What each stage of a recipe means."""

from types import ModuleType

from outfold.stages import adapt, blend, label, postprocess, serve, submit, train

STAGE_KINDS: dict[str, ModuleType] = {
    "train": train,
    "serve": serve,
    "adapt": adapt,
    "blend": blend,
    "postprocess": postprocess,
    "label": label,
    "submit": submit,
}
"""By a stage's `kind`, the module with its `plan`, `perform` and `collect`."""
