"""`gfattach site`: its options, its call, its view."""
