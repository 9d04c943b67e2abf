"""Why a delivery did not come about."""


class NotDelivered(Exception):
    """The text is for the owner of what was to be told. `final`: trying again would not help."""

    def __init__(self, reason: str, *, final: bool = False, retry_after_seconds: float = 0) -> None:
        super().__init__(reason)
        self.final = final
        self.retry_after_seconds = retry_after_seconds
        """The receiver wants to be left alone for so long."""
