"""From several predictions to one."""
