"""The nouns: a checksum, an input, what is wrong with one."""
