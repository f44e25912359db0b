"""What decides where a pod can run: requests, nodes, quotas, volumes, and what the scheduler says."""
