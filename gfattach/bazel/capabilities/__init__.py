"""What the Bazel at hand can do: asked or tried, and remembered."""
