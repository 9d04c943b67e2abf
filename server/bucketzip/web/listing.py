"""What all listings take in their query."""

from pydantic import BaseModel, ConfigDict, Field

MOST_LISTED = 1000


class Listing(BaseModel):
    """Which page; each listing adds what it filters by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None = None
    limit: int = Field(default=100, ge=1, le=MOST_LISTED)
