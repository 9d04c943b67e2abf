"""`bucketzip doctor`: whether it will work here. Checks know S3 and the machine by ports alone."""
