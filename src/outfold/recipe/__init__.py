"""What to do: the recipe, its schema, loading and the built-in systems."""
