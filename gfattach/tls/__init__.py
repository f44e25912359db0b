"""TLS towards any server: what it shows of itself, and why it cannot be trusted when it cannot."""
