"""Warnings of the contract: in the environment, in rc files, in a workspace."""
