"""Archives written into buckets: jobs, and what runs them."""
