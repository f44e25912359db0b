"""Tests against a real Kubernetes API server, and the bed that runs one without containers."""
