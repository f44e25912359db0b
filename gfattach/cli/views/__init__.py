"""What the views of several commands share."""
