"""Clients of S3Zipper's calls, written as people write them. Each is a program of its own."""
