"""External inputs for the tests: an upstream on loopback, a registry, workspaces of every kind."""
