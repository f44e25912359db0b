"""Health checks of an upstream over one kept connection."""
