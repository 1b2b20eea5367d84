"""outfold: from a table of labelled images or recordings to predictions that win."""
