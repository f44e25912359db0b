"""What was read, what was asked, and what is answered. Pure."""
