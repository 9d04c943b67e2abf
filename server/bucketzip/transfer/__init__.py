"""Bytes in the right order at the right time: knows neither S3 nor HTTP, only the ports it needs of them."""
