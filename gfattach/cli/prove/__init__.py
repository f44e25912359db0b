"""`gfattach prove`: its options, its call, its view."""
