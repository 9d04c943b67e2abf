"""Run by LocalStack's own Python: starts it with the objects in the directory given; else all share one in /tmp."""

import sys

from localstack.runtime.main import main  # type: ignore[import-not-found]  # in its own environment
from localstack.services.s3 import provider  # type: ignore[import-not-found]

provider.DEFAULT_S3_TMP_DIR = sys.argv[1]
main()
