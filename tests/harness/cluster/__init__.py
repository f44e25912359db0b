"""A real Kubernetes cluster of a few programs, its users, and agents attached to it."""
