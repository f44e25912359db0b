"""The embedded caches: for trying out and for tests, on loopback only."""
