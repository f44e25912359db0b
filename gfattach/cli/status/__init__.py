"""`gfattach status`: its options, its call, its view."""
