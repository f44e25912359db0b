"""Answers as lines, Markdown, HTML and JSON: one outline of sections, and a renderer for each."""
