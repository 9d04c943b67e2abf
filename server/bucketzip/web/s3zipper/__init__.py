"""What S3Zipper's clients send, and what they expect back: `docs/s3zipper.md` has it as a table."""
