"""Archives written into a bucket: durable jobs, by ports only."""
