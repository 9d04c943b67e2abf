"""Benchmarks of bucketzip against its peers: every number is compared only within the run that made it."""
