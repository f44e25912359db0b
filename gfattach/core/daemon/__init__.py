"""The life of a daemon, one for all of them: started, ready, found, replaced and ended."""
