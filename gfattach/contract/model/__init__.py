"""The contract's terms, variables, codes and manifest."""
