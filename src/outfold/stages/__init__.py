"""What each stage of a recipe means."""

from types import ModuleType

from outfold.stages import submit, train

STAGE_KINDS: dict[str, ModuleType] = {"train": train, "submit": submit}
"""By a stage's `kind`, the module with its `plan`, `perform` and `collect`."""
