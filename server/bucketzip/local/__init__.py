"""Archives that go to this machine itself: into a file, or out of standard output."""


class CannotSave(Exception):
    """The file cannot be written; the message names it and says why. What is there of it stays."""
