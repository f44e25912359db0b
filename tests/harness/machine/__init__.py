"""A developer's machine: its Bazels and Nixes, keyrings, ports, and stand-ins at the process boundary."""
