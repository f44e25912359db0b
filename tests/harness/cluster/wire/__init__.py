"""What stands between a client and a pod: middleboxes, wires that forget, traffic that knows its content."""
