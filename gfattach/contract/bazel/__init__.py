"""Bazel's rc files and arguments, as the environment contract judges them."""
