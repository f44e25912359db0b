"""The stage that asks the Nix cache, the substituter."""
