"""Nix caches, right and wrong in one way each, and the cases of the stage that asks them."""
