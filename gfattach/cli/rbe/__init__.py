"""`gfattach rbe` and its commands, a module each."""
