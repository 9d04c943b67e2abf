"""Other S3 servers than SeaweedFS, real ones: where servers differ, a test says on which it holds."""
