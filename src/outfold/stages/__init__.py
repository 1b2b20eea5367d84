"""What each stage of a recipe means."""

from types import ModuleType

from outfold.stages import blend, label, postprocess, submit, train

STAGE_KINDS: dict[str, ModuleType] = {
    "train": train,
    "blend": blend,
    "postprocess": postprocess,
    "label": label,
    "submit": submit,
}
"""By a stage's `kind`, the module with its `plan`, `perform` and `collect`."""
