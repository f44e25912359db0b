"""Route selection: through the trial, directly, or by forwards into a cluster."""
