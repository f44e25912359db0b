"""`gfattach inputs`: the external inputs of a workspace."""
