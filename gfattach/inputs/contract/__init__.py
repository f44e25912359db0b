"""The committed set of inputs, and what covers it."""
