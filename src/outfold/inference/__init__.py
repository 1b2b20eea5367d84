"""From a trained model to predictions aligned by id."""
