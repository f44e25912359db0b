"""The cases of the cluster's stages: what earns each of their codes."""
