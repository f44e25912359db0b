"""Kubeconfig resolution: files, merging, credentials, exec plugins, trust."""
