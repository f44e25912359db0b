"""The authorities behind the inputs, and the gate that asks for a durable one."""
