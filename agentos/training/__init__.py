"""Runs that make models and measure them, each in a job of its own."""
