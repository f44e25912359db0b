"""Logs and evidence of remote executions, in the formats of those that write them."""
