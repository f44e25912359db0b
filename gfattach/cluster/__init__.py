"""Kubernetes as a client: kubeconfigs, connections to an API server, and what is asked of it."""
