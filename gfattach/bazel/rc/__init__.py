"""Rc files: their grammar."""
