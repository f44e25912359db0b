"""What Bazel and its files say of external repositories, one module a file format."""
