"""Which Bazel a command runs, and what this build of it has."""
