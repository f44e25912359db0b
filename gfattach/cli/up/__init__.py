"""`gfattach up`: its options, its call, its view."""
