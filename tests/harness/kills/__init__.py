"""Kills at random points of every command that writes, and what has to hold after each."""
