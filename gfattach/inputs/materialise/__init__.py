"""The materialiser: inputs into distdirs and repository caches."""
