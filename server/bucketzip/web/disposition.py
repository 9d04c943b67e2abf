"""Content-Disposition for a file's name in any language (RFC 6266, RFC 8187)."""

import re
import unicodedata
from urllib.parse import quote

_ATTR_CHARS = "!#$&+-.^_`|~"


def attachment(filename: str) -> str:
    """`attachment` with the name in UTF-8, and in plain ASCII for what cannot read that."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode().strip() or "archive.zip"
    if plain.startswith("."):
        plain = f"archive{plain}"
    quoted = re.sub(r'[\\"%/\x00-\x1f\x7f]', "_", plain)  # a wide slash has become a slash
    value = f'attachment; filename="{quoted}"'
    if quoted != filename:
        value += f"; filename*=UTF-8''{quote(filename, safe=_ATTR_CHARS)}"
    return value
