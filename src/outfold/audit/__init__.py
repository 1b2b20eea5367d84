"""What makes a score better than the truth: checks on plain arrays and tables, each a list of findings."""
