"""The Nix client of an attach."""
