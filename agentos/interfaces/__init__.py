"""The doors: HTTP over a Unix socket, the command line and the prompt."""
