"""`gfattach env`, `exec` and `consumer-env`: its options, its call, its view."""
