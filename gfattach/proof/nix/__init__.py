"""Proofs by Nix."""
