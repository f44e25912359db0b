"""Proofs of a cache hit: evidence, measure, verdict, record."""
