"""The files that point Bazel and Nix at an attachment, and how they are undone."""
