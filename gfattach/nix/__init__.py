"""Nix, the program: where it is, how to run it apart from everything, what it said."""
