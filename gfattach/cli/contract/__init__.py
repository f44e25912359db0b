"""`gfattach contract`: its options, its call, its view."""
