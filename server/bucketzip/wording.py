"""How things are put that are told in several places: on a terminal, in a mail, in an answer."""


def entries(count: int) -> str:
    """`1 entry`, `1,052 entries`."""
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"


def mistake(message: str) -> str:
    """Of pydantic's message what is of use to whoever made the mistake."""
    return message.removeprefix("Value error, ").replace(" after validation", "")
