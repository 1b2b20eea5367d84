"""What each stage of a recipe means."""
