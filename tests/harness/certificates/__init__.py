"""Certificate authorities, servers that show their certificates, and the cases of TLS."""
