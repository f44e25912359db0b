"""`gfattach doctor`: its options, its call, its view."""
