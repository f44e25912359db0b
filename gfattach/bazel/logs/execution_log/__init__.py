"""Bazel's execution log: what each spawn was, who ran it, and what came of it."""
