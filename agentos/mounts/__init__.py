"""Other servers' tools (Model Context Protocol) as syscalls."""
