"""A year in the life of the agent, on a clock that skips the time in which nothing happens."""
