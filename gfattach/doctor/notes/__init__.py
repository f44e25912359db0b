"""Friction logs: Markdown notes of real runs, with the run's JSON beside each, an index, a comparison."""
