"""`gfattach down`: its options, its call, its view."""
