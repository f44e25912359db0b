"""Attaching and detaching: what `up`, `status` and `down` do, apart from showing it."""
