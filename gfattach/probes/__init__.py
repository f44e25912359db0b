"""What is asked of each thing, one file a stage."""
