"""The data of an attach: its record, options and tokens."""
