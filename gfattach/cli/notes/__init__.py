"""`gfattach notes`: its options, its call, its view."""
