"""CEL selectors: expressions over a device's driver, attributes and capacity.

CEL is imported when the first selector is looked at: most clusters have none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.meta.cel.environment import Expression

COST_MAX = 1_000_000
#: expressions that stay compiled
EXPRESSIONS_MAX = 100
#: answers that are remembered
ANSWERS_MAX = 100_000


class SelectorError(Exception):
    """An expression that cannot be compiled or that fails on a device."""


class Selectors:
    """Answers are remembered per device: slices are immutable, a changed one is another object."""

    def __init__(self) -> None:
        #: (the device's identity, expression) -> the device, held so that no other takes its identity, and the answer
        self._answers: dict[tuple[int, str], tuple[Any, bool]] = {}

    def match(self, selectors: Any, device: Any, driver: str, name: object, whose: str) -> bool:
        """Do all of them? Raises SelectorError. `whose` selectors they are and the device's `name` are for people."""
        for i, selector in enumerate(selectors):
            text = selector.cel.expression
            known = self._answers.get((id(device), text))
            if known is None:
                where = f"{whose}: selector #{i}"
                known = device, _evaluate(text, device, driver, where, name)
                if len(self._answers) >= ANSWERS_MAX:
                    self._answers.clear()
                self._answers[id(device), text] = known
            if not known[1]:
                return False
        return True


@lru_cache(EXPRESSIONS_MAX)
def _compiled(text: str) -> Expression:
    from knarr.api.resource.deviceselectors import environment

    return environment().compile(text)


def _evaluate(text: str, device: Any, driver: str, where: str, name: object) -> bool:
    from knarr.meta.cel.environment import CompileError
    from knarr.meta.cel.values import CelError

    try:
        program = _compiled(text).program
    except CompileError as error:
        raise SelectorError(f"{where}: CEL compile error: compilation failed: {error}") from None
    try:
        answer, _ = program.evaluate({"device": described(device, driver)}, COST_MAX)
    except CelError as error:
        raise SelectorError(f"{where} on device {name}: CEL runtime error: {error}") from None
    if answer.__class__ is not bool:
        raise SelectorError(
            f"{where} on device {name}: CEL runtime error: CEL result of type {type(answer).__name__}"
            " could not be converted to bool: unsupported native conversion"
        )
    return bool(answer)


def described(device: Any, driver: str) -> dict[str, Any]:
    """The variable `device`."""
    from knarr.meta.cel.library.quantity import QuantityValue

    return {
        "driver": driver,
        "allowMultipleAllocations": bool(device.allowMultipleAllocations),
        "attributes": _by_domain({name: _value(a) for name, a in device.attributes.items()}, driver),
        "capacity": _by_domain({name: QuantityValue(c.value) for name, c in device.capacity.items()}, driver),
    }


def _value(attribute: Any) -> Any:
    from knarr.meta.cel.library.semver import Semver

    for value in (attribute.int, attribute.bool, attribute.string):
        if value is not None:
            return value
    return Semver(attribute.version) if attribute.version is not None else None


def _by_domain(items: dict[str, Any], driver: str) -> dict[str, Any]:
    """Names without a domain are the driver's; a domain that the device does not know is empty."""
    from knarr.meta.cel.values import DefaultMap

    domains: dict[str, dict[str, Any]] = {}
    for name, value in items.items():
        domain, slash, identifier = name.rpartition("/")
        domains.setdefault(domain if slash else driver, {})[identifier] = value
    return DefaultMap(domains, {})
