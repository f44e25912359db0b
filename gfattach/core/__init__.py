"""What every package may import: errors, deadlines, findings, files, processes. It imports nobody."""
