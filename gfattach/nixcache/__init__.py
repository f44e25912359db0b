"""The Nix binary cache protocol: nix-cache-info, narinfo, signatures, NARs, and a client."""
