"""The loop and its parts: losses, optimisers, phases, checkpoints."""
