"""Bazel caches, right and wrong in one way each, and clients of them."""
