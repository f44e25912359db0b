"""`gfattach logs`: its options, its call, its view."""
