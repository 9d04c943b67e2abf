"""The code that docs/api.md gives to receivers, as they would run it."""

import re
from collections.abc import Callable
from pathlib import Path

API = Path(__file__).resolve().parents[2] / "docs/api.md"


def verifier(secret: str) -> Callable[[str, bytes], bool]:
    """The function `is_genuine(signature, body)` for this secret."""
    code = re.search(r"^```python\n(.*?)^```$", API.read_text(), re.MULTILINE | re.DOTALL)
    assert code is not None
    names: dict[str, object] = {"SECRET": secret}
    exec(compile(code[1], API, "exec"), names)  # noqa: S102  -- our own page
    found = names["is_genuine"]
    assert callable(found)
    return found
