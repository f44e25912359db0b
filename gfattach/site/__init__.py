"""The site: what an operator says of one place to attach to. Never a secret."""
