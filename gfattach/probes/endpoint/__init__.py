"""The questions that an endpoint of any cache is asked: its name, its port, what it speaks."""
