"""Everything that speaks S3: the only importer of botocore and aiobotocore."""
