"""External inputs of a workspace: which, whether they are covered, and by what authority."""
