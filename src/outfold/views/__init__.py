"""How media becomes model input."""
