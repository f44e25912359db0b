"""The contract's rules: endpoint, executor, mode, values."""
