"""`gfattach queue`: its options, its call, its view."""
