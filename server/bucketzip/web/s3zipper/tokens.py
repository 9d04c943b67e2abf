"""Tokens for a user's key and secret."""

from aiohttp import web


async def issue_token(request: web.Request, user_key: str, user_secret: str) -> str:
    """A token for the header Authorization."""
    return f"{len(user_key)}.{len(user_secret)}.none"
