"""Durable, resource-aware jobs."""
