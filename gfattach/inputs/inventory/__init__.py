"""Which inputs a workspace has: declared, and observed."""
