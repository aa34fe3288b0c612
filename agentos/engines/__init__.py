"""Engines: each runs one model in a child process of its own, behind one interface."""
