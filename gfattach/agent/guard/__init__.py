"""The fragment switch and the watchdog that outlives the agent."""
