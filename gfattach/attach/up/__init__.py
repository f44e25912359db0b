"""The session of an `up`."""
