"""What stands between this service and S3, on real servers and on lines and stores that misbehave."""
