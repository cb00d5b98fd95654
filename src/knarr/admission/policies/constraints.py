"""matchConstraints of policies and matchResources of bindings: which requests they are for."""

from __future__ import annotations

from typing import Any

from knarr.admission.attributes import Attributes, Target
from knarr.admission.matching import Matched, Rules, Selectors, requested
from knarr.meta.errors import StatusError
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader

Object = dict[str, Any]


class ConfigurationError(Exception):
    """A policy or binding that cannot be applied to a request it may be meant for; failurePolicy says what then."""


class Constraints:
    """Compiled; None, which is an absent matchResources, is for everything."""

    def __init__(self, match: Object | None) -> None:
        match = match or {}
        equivalent = match.get("matchPolicy") == "Equivalent"
        self._selectors = Selectors(match)
        self._rules = Rules(match.get("resourceRules"), equivalent)
        self._excluded = Rules(match.get("excludeResourceRules"), equivalent)

    def handles(self, target: Target, equivalents: Equivalents) -> bool:
        return not self._rules or self._rules.handles(target, equivalents)

    def match(self, a: Attributes, equivalents: Equivalents, reader: Reader) -> Matched | None:
        """None where the request is not meant. Raises ConfigurationError."""
        missing: StatusError | None = None
        try:
            if not self._selectors.match_namespace(a, reader):
                return None
        except StatusError as error:
            # Only of interest if everything else says that the request is meant.
            missing = error
        if not self._selectors.match_object(a):
            return None
        try:
            if self._excluded and self._excluded.match(a, equivalents) is not None:
                return None
            matched = self._rules.match(a, equivalents) if self._rules else Matched(requested(a), a.kind)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        if matched is not None and missing is not None:
            raise ConfigurationError(missing.message)
        return matched
