"""Near-duplicates: photos that show the same picture, found by their fingerprints, linked, dropped or reviewed."""
