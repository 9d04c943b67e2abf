"""ZIP archives of objects in Amazon S3, streamed without touching a disk."""

__version__ = "0.1.0"
