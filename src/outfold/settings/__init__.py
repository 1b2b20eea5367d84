"""The vocabulary that everything shares: the settings a recipe is made of, validated, without behaviour."""
