"""Messages of protocol buffers without their runtime: their wire format, and files of many."""
