"""The wire to an API server: TCP, proxies, TLS, HTTP/1.1, websockets, port-forward channels."""
