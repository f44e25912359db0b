"""The stage that asks Bazel."""
