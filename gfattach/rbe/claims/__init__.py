"""What documents say of remote execution, held against what manifest and evidence carry."""
