"""What a label's runners take, what one more would take, and what is left of it. Pure."""
