"""The Kubernetes API: REST, Status objects, access reviews, endpoint selection."""
