"""What Bazel writes of a build: events, the log of remote calls, the execution log."""
