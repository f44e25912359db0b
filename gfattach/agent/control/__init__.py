"""The control socket: its server, the operations that can be asked for, and what it answers for."""
