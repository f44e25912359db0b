"""The Execution service of the Remote Execution API v2: what a server said of the actions it was sent."""
