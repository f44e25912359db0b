"""`gfattach credential`: its options, its call, its view."""
