"""Evidence of a remote execution: a document, what it was made from, and what verifies both offline."""
