"""Forwards: listeners, ports and clients' connections."""
