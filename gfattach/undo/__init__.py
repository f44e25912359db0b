"""The undoing of changes to files: managed blocks, earlier contents, the journal."""
