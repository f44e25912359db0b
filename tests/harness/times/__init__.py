"""How long each file of tests takes: kept, used to begin with the longest, and measured alone."""
