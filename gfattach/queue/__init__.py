"""Why a CI job is queued, as the cluster that runs it shows: one snapshot, causes as data, one answer.

Nothing here writes to a cluster, and nothing is said that was not seen: what may not be read is unknown, and
what only GitHub knows is named with the command that asks GitHub.
"""
