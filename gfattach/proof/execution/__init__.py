"""Proofs of remote execution: what was executed, as its logs tell it. Pure, but for reading them."""
