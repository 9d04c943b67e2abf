"""ZIP archives of objects in Amazon S3, streamed without touching a disk."""

from typing import TYPE_CHECKING

__all__ = ["ZippingS3", "__version__"]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bucketzip.zipping_s3 import ZippingS3


def __getattr__(name: str) -> object:
    """`ZippingS3` when it is asked for: it imports everything, which no command waits for."""
    if name == "ZippingS3":
        from bucketzip.zipping_s3 import ZippingS3  # noqa: PLC0415  -- it imports everything

        return ZippingS3
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
