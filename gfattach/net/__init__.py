"""Connections: names, ports, proxies, what a port speaks, and why there is no connection to be had."""
