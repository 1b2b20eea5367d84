"""Planning, storing and executing a run."""
