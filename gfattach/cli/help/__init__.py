"""`gfattach help`: its options, its call, its view."""
