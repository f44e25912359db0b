"""What a command does for each client of a cache, and what it has at hand for that."""
