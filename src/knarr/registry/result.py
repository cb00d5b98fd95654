"""What an operation answers, still without a representation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.registry.storage import View


Pieces = list["bytes | memoryview"]


class Result:
    """A success: an object's JSON, ready to be sent or turned into a Table.

    `view` names the kind of the body; None for a Status and other bare answers. A large list comes in `pieces`, which
    are only joined when somebody asks for `body`: a plain JSON answer is sent piece by piece.
    """

    __slots__ = ("_body", "code", "is_list", "pieces", "view")

    def __init__(
        self,
        body: bytes,
        code: int = 200,
        view: View | None = None,
        is_list: bool = False,
        pieces: Pieces | None = None,
    ) -> None:
        self._body = body
        self.code, self.view, self.is_list, self.pieces = code, view, is_list, pieces

    @property
    def body(self) -> bytes:
        if self.pieces is not None:
            self._body, self.pieces = b"".join(self.pieces), None
        return self._body


def success_status(code: int = 200, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Status of status Success."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    if code != 200:
        status["code"] = code
    return status
