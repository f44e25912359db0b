"""Starting, finding and ending the agent, and asking it over its control socket."""
