"""Tokens for hosts: where they come from, where they are kept, and how Bazel is given them."""
