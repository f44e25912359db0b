"""The explicit proof: one target, forced onto an executor, with controls that have to fail."""
