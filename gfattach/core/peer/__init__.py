"""Peer credentials of TCP connections: whose a socket is."""
