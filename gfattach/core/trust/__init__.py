"""Trust: who may be believed on this machine, by owner, mode, link, git and what its user has allowed."""
