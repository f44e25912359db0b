"""The options that a command ends up with: rc files, configs, invocation policies."""
