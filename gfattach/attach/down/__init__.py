"""Detaching: `down`, and the undoing of what an attach wrote."""
