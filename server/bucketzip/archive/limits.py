"""What S3 takes in one multipart upload."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The upload's own limits, and the lengths that parts should not exceed; these give way where parts are too many.

    Raises ValueError where a part that is too long could not be cut into two that are long enough.
    """

    most_parts: int = 10_000
    least_bytes: int = 5 << 20
    """Of a part, but for the last."""
    most_bytes: int = 5 << 30
    """Of a part."""
    built_bytes: int = 16 << 20
    """Of built parts on average. One alone has up to twice as many, so that it can end where an entry does."""
    copied_bytes: int = 1 << 30
    """Of a copied part. Shorter ones are done side by side."""

    def __post_init__(self) -> None:
        shorter, longer = sorted((self.built_bytes, self.copied_bytes))
        if not 0 < 2 * self.least_bytes <= shorter <= longer <= self.most_bytes or self.most_parts < 1:
            raise ValueError(f"no upload can keep to {self}")

    @property
    def most_copied(self) -> int:
        """Entries that can be copied, as something built lies in front of each."""
        return self.most_parts // 2

    @property
    def most_archive_bytes(self) -> int:
        """All parts together: 48.8 TiB, which is S3's limit for an object too."""
        return self.most_parts * self.most_bytes


AWS = Limits()
