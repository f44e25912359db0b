"""Bazel, the program: where it is, what it accepts, how to run it, what it wrote."""
