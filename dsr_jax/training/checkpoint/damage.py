"""The one error that means: this checkpoint is not what was written."""


class Damaged(Exception):
    """A file or an array of a checkpoint has changed; the message says what differs."""
