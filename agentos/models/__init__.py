"""The catalog, the model store on disk, and what is in memory."""
