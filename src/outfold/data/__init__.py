"""Tables, targets, folds, media and the cache; knows nothing of models."""
