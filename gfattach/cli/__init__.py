"""The command line: options in, one call, what came of it out."""
