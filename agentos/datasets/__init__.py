"""Data sets: read once, stored by content, cleaned and split without losing a row."""
