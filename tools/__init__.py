"""Syscall families: one file each, typed functions that reach the system through their context."""
