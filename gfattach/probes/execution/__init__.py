"""Questions to an executor."""
