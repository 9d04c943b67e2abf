"""What outlives the process: one directory, one SQLite file, and the manifests beside it."""
