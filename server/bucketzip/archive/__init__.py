"""The pure core: which bytes an archive has and where they lie. No I/O, no clock, no S3."""
