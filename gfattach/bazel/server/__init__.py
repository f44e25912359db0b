"""A Bazel server of one's own: commands, their messages, crashes."""
