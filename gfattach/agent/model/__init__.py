"""The agent's data: forward specifications, registrations, state directory, status, log files."""
