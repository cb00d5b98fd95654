"""The estimated cost of a schema's rules: each may not be too expensive, nor may all of them together."""

from __future__ import annotations

from typing import Any

from knarr.meta.fielderrors import FieldError, forbidden

Schema = dict[str, Any]
RULE_MAX, SCHEMA_MAX = 10_000_000, 100_000_000
#: a rule below a hundredth of the limit is not named when the sum is too high; at most four are
NAMED_MIN, NAMED_MAX = SCHEMA_MAX // 100, 4
UINT64_MAX = (1 << 64) - 1
ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings"
    " are declared)"
)


def capped(cost: int) -> int:
    return min(cost, UINT64_MAX)


def too_much(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    if factor > 100:
        shown = "more than 100x"
    else:
        shown = f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {ADVICE}"


class Costs:
    """The costs of one schema. `root` is the place of the whole resource."""

    def __init__(self, schema: Schema) -> None:
        self.total = 0
        self._most: list[tuple[int, str]] = []
        self.root = Place(self, schema, is_root=True)

    def add(self, path: str, cost: int) -> None:
        self.total = capped(self.total + cost)
        if cost >= NAMED_MIN:
            self._most.append((cost, path))
            self._most.sort(key=lambda known: -known[0])
            del self._most[NAMED_MAX:]

    def errors(self, path: str) -> list[FieldError]:
        if self.total <= SCHEMA_MAX:
            return []
        detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        found = [forbidden(where, detail) for _, where in self._most]
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        return [*found, forbidden(path, too_much(what, self.total, SCHEMA_MAX))]


class Place:
    """One place of a schema and how often it can occur in an object (None: nobody says)."""

    def __init__(self, costs: Costs, schema: Schema, count: int | None = 1, is_root: bool = False) -> None:
        self.costs, self.schema, self.count, self.is_root = costs, schema, count, is_root

    def below(self, schema: Schema) -> Place:
        """The place of a property, of list items or of additional properties."""
        most = self._elements_max()
        count = None if most is None or self.count is None else capped(self.count * max(most, 0))
        return Place(self.costs, schema, count)

    def _elements_max(self) -> int | None:
        """How often each part occurs in one value of this place."""
        match self.schema.get("type"):
            case "array":
                return self.schema.get("maxItems")
            case "object" if self.schema.get("additionalProperties") is not None:
                return self.schema.get("maxProperties")
        return 1

    def compile(self) -> list[Any] | None:
        """The rules of this place, compiled (rules/compile.py); None where rules cannot see anything."""
        from knarr.api.apiextensions.rules.compile import compile_rules

        return compile_rules(
            self.schema, self.is_root or bool(self.schema.get("x-kubernetes-embedded-resource"))
        )

    def observe(self, path: str, what: str, cost: int, any_cost: bool) -> list[FieldError]:
        """Note what an expression costs; an error where that is too much."""
        found: list[FieldError] = []
        if not any_cost and cost > RULE_MAX:
            found.append(forbidden(path, too_much(f"estimated {what} cost", cost, RULE_MAX)))
        self.costs.add(path, cost)
        return found
