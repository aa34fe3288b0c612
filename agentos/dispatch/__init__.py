"""The only path to a syscall."""
