"""The Bazel client of an attach."""
