"""The stage that asks the Bazel cache."""
