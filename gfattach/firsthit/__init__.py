"""Proofs of a first cache hit, by client."""
