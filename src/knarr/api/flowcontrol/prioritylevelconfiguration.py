"""PriorityLevelConfiguration: how many requests of a level are served at once, and what becomes of the others."""

from __future__ import annotations

import math
from typing import Any

from knarr.api import gostruct, printing
from knarr.api.flowcontrol import mandatory
from knarr.api.flowcontrol.conditions import condition_errors
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

SHARES, QUEUES, HAND_SIZE, QUEUE_LENGTH = 30, 64, 8, 50
QUEUES_MAX, ENTROPY_BITS_MAX = 10_000_000, 60
PERCENT_MAX = 100


class PriorityLevelConfiguration(Kind):
    status_keeps_metadata = True
    tracks_generation = True
    columns = (
        NAME,
        Column("Type", doc="flowcontrol.v1.PriorityLevelConfigurationSpec.type"),
        Column(
            "NominalConcurrencyShares",
            doc="flowcontrol.v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares",
        ),
        Column("Queues", doc="flowcontrol.v1.QueuingConfiguration.queues"),
        Column("HandSize", doc="flowcontrol.v1.QueuingConfiguration.handSize"),
        Column("QueueLengthLimit", doc="flowcontrol.v1.QueuingConfiguration.queueLengthLimit"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        limited, exempt = spec.get("limited"), spec.get("exempt")
        if limited is not None:
            _set_default(limited, "nominalConcurrencyShares", SHARES)
            _set_default(limited, "lendablePercent", 0)
            queuing = (limited.get("limitResponse") or {}).get("queuing")
            if queuing is not None:
                for field, value in (
                    ("queues", QUEUES),
                    ("handSize", HAND_SIZE),
                    ("queueLengthLimit", QUEUE_LENGTH),
                ):
                    if not queuing.get(field):
                        queuing[field] = value
        if exempt is not None:
            _set_default(exempt, "nominalConcurrencyShares", 0)
            _set_default(exempt, "lendablePercent", 0)

    def validate(self, obj: Object) -> list[FieldError]:
        spec, name = obj["spec"], obj["metadata"].get("name", "")
        found = _spec_errors(spec, name)
        return found + _fixed_errors(spec, name) + condition_errors(obj)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return condition_errors(obj)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        limited = spec.get("limited") or {}
        queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
        none = printing.NONE
        return [
            obj["metadata"]["name"],
            spec.get("type", ""),
            limited.get("nominalConcurrencyShares", none),
            queuing.get("queues", none),
            queuing.get("handSize", none),
            queuing.get("queueLengthLimit", none),
            printing.age(obj, now),
        ]


def _spec_errors(spec: Object, name: str) -> list[FieldError]:
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    found = []
    if (name == "exempt") != (kind == "Exempt"):
        found.append(invalid("spec.type", kind, "type must be 'Exempt' if and only if name is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            found.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
        return found + (_share_errors(exempt, "spec.exempt") if exempt is not None else [])
    if kind == "Limited":
        if exempt is not None:
            found.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            return [*found, required("spec.limited", "must not be empty when type is Limited")]
        return found + _limited_errors(limited, "spec.limited")
    return [*found, not_supported("spec.type", kind, ("Exempt", "Limited"))]


def _fixed_errors(spec: Object, name: str) -> list[FieldError]:
    fixed = mandatory.LEVELS.get(name)
    if fixed is None:
        return []
    compared = {**spec, "exempt": None} if name == "exempt" else spec
    if mandatory.same(compared, fixed, mandatory.LEVEL_SPEC):
        return []
    but = " except the 'spec.exempt' field" if name == "exempt" else ""
    shown = gostruct.dump(spec, mandatory.LEVEL_SPEC)
    return [invalid("spec", shown, f"spec of '{name}'{but} must equal the fixed value")]


def _set_default(obj: Object, field: str, value: int) -> None:
    if obj.get(field) is None:
        obj[field] = value


def _share_errors(level: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    shares, lendable = level.get("nominalConcurrencyShares", 0), level.get("lendablePercent", 0)
    if shares < 0:
        detail = "must be a non-negative integer"
        found.append(invalid(f"{path}.nominalConcurrencyShares", shares, detail))
    if not 0 <= lendable <= PERCENT_MAX:
        found.append(invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive"))
    return found


def _limited_errors(limited: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    shares = limited.get("nominalConcurrencyShares", 0)
    if shares < 0:
        detail = "must be a non-negative integer"
        found.append(invalid(f"{path}.nominalConcurrencyShares", shares, detail))
    found += _response_errors(limited.get("limitResponse") or {}, f"{path}.limitResponse")
    lendable, borrowing = limited.get("lendablePercent", 0), limited.get("borrowingLimitPercent")
    if not 0 <= lendable <= PERCENT_MAX:
        found.append(invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive"))
    if borrowing is not None and borrowing < 0:
        detail = "if specified, must be a non-negative integer"
        found.append(invalid(f"{path}.borrowingLimitPercent", borrowing, detail))
    return found


def _response_errors(response: Object, path: str) -> list[FieldError]:
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is None:
            return []
        return [forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")]
    if kind == "Queue":
        if queuing is None:
            detail = "must not be empty if limited.limitResponse.type is Limited"
            return [required(f"{path}.queuing", detail)]
        return _queuing_errors(queuing, f"{path}.queuing")
    return [not_supported(f"{path}.type", kind, ("Queue", "Reject"))]


def _queuing_errors(queuing: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    length, queues, hand = queuing["queueLengthLimit"], queuing["queues"], queuing["handSize"]
    if length <= 0:
        found.append(invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        found.append(invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > QUEUES_MAX:
        found.append(invalid(f"{path}.queues", queues, f"must not be greater than {QUEUES_MAX}"))
    if hand <= 0:
        found.append(invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        found.append(invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif entropy_bits(queues, hand) > ENTROPY_BITS_MAX:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
            f" {ENTROPY_BITS_MAX}"
        )
        found.append(invalid(f"{path}.handSize", hand, detail))
    return found


def entropy_bits(deck: int, hand: int) -> int:
    """How much chance dealing a hand needs."""
    return math.ceil(sum(math.log2(deck - i) for i in range(hand)))
