"""Every cause of a queued job that a cluster can show, as data; `table` has them in order of evaluation."""
