"""What a call that got no answer raises."""

from __future__ import annotations


class EgressError(Exception):
    """Nobody answered; the text is worded as Go's net/http would: `Post "https://...": context deadline exceeded`.

    `cause` is the text without the request it belongs to.
    """

    def __init__(self, text: str, cause: str = "") -> None:
        super().__init__(text)
        self.cause = cause or text


class ConfigError(EgressError):
    """Nobody was called: the client configuration makes no sense."""
