"""The stages that ask the cluster."""
