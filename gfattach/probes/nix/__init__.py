"""The stage that asks Nix."""
