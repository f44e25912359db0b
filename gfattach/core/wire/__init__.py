"""Messages of protocol buffers as they stand in files: behind their lengths, and read where they lie."""
