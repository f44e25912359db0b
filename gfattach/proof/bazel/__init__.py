"""Proofs by Bazel."""
