"""The contract against what covers it, and against the workspace."""
