"""What an operation answers, still without a representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.registry.storage import View


@dataclass(slots=True)
class Result:
    """A success: an object's JSON (`body`), ready to be sent or turned into a Table.

    `view` names the kind of the body; None for a Status and other bare answers.
    """

    body: bytes
    code: int = 200
    view: View | None = None
    is_list: bool = False
    headers: dict[str, str] | None = None


def success_status(code: int = 200, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Status of status Success."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    if code != 200:
        status["code"] = code
    return status
