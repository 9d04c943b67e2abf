"""How counts are written, on a terminal and in a mail alike."""


def entries(count: int) -> str:
    """`1 entry`, `1,052 entries`."""
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"
