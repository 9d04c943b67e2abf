"""`python -m bucketzip`."""

from bucketzip.cli import main

main()
