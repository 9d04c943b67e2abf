"""Checks a downloaded archive against what the server says of it, on the machine of who received it."""


class CannotVerify(Exception):
    """The check could not be made: nothing is said about the file."""
