"""Attach a small developer machine to a shared Bazel cache and a shared Nix cache."""

__version__ = "0.1.0"
