"""HTTP: the only code of aiohttp's server."""
