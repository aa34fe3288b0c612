"""Scripted suites that score any kernel model."""
