"""Upstream connections: pods, channels, TLS and prewarmed connections."""
