"""Taints and who tolerates them; the taints of devices go by the same rule as those of nodes."""

from __future__ import annotations

from typing import Any


def tolerates(toleration: Any, taint: Any) -> bool:
    """Of Structs: what does not say an effect or a key tolerates all of them."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in (None, "", "Equal") and (toleration.value or "") == (taint.value or "")
