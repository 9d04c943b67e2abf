"""Where the objects are read from: a real S3 server, and nginx as the ceiling."""
