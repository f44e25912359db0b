"""`gfattach bazel`: its options, its call, its view."""
