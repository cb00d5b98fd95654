"""Validation of values against a schema, explained exactly as kube-openapi does.

Good objects pay for the quick test of accepts.py only.
"""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema.result import Finding, Result
from knarr.meta import goregexp, strformats
from knarr.meta.gofmt import go_float, go_json

Schema = dict[str, Any]
INTEGER_FORMATS = {
    "int32": (-(1 << 31), (1 << 31) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
}
INT64 = (-(1 << 63), (1 << 63) - 1)
EPSILON = 1e-9
FLOAT32_MAX = 3.4028235677973366e38
#: the format that the validator sees in a number that Go decoded
GO_FORMATS = {"integer": "int64", "number": "float64"}
NOT_POSITIVE = "factor MultipleOf declared for {} must be positive: {}"


def types_of(schema: Schema) -> tuple[str, ...]:
    """The JSON types a schema allows; () for any."""
    if schema.get("x-kubernetes-int-or-string") and not schema.get("type"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def type_name(value: Any) -> str:
    """What a decoded JSON value is called in messages."""
    kind = value.__class__
    if kind is str:
        return "string"
    if kind is bool:
        return "boolean"
    if kind is int:
        return "integer"
    if kind is float:
        return "number"
    return "array" if kind is list else "object" if kind is dict else "null"


def has_type(value: Any, types: tuple[str, ...]) -> bool:
    name = type_name(value)
    if name in types:
        return True
    if name == "integer":
        return "number" in types
    return name == "number" and "integer" in types and value.is_integer()


def shown(value: float) -> str:
    """A constraint as Go's %v prints it: an int64 beside whole numbers, else a float64."""
    return str(value) if isinstance(value, int) else go_float(value)


class Validator:
    """One schema, with all its parts, for explaining."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.types = types_of(schema)
        self.nullable = bool(schema.get("nullable"))
        format_ = schema.get("format", "")
        self.format = format_ if format_ and strformats.is_known(format_) else ""
        self.format_check = strformats.check_of(self.format) if self.format else None
        self.pattern = goregexp.compile(schema["pattern"]) if schema.get("pattern") else None
        self.properties = {k: Validator(v) for k, v in (schema.get("properties") or {}).items()}
        self.required: list[str] = schema.get("required") or []
        additional = schema.get("additionalProperties")
        self.additional = Validator(additional) if isinstance(additional, dict) else None
        self.forbids_additional = additional is False
        items = schema.get("items")
        self.items = Validator(items) if isinstance(items, dict) else None
        self.any_of = [Validator(s) for s in schema.get("anyOf") or ()]
        self.one_of = [Validator(s) for s in schema.get("oneOf") or ()]
        self.all_of = [Validator(s) for s in schema.get("allOf") or ()]
        self.not_ = Validator(schema["not"]) if schema.get("not") is not None else None

    def validate(self, value: Any, path: str = "") -> Result:
        """What is wrong with `value`, which stands at `path`."""
        result = Result()
        if value is None:
            result.merge(self._type(value, path))
            if not self.nullable:
                result.merge(self._enum(value, path))
            return result
        kind = value.__class__
        if self.types or self.format:
            self._part(result, self._type(value, path))
        self._part(result, self._logic(value, path))
        if kind is str:
            self._part(result, self._string(value, path))
            if self.format_check is not None:
                self._part(result, self._format(value, path))
        elif kind is int or kind is float:
            self._part(result, self._number(value, path))
        elif kind is list:
            self._part(result, self._list(value, path))
        self._part(result, self._enum(value, path))
        if kind is dict:
            self._part(result, self._object(value, path))
        result.matches += 1
        return result

    @staticmethod
    def _part(result: Result, part: Result) -> None:
        result.merge(part)
        result.matches += 1

    # -- parts ----------------------------------------------------------------------------------------

    def _type(self, value: Any, path: str) -> Result:
        result = Result()
        result.matches += 1
        types = self.types
        if value is None:
            if types and not self.nullable:
                result.add(_wrong_type(path, ",".join(types), "null"))
            return result
        name, matches = type_name(value), has_type(value, types)
        if self.format:
            format_ = GO_FORMATS.get(name, "")
            if name in ("string", "array"):
                if "number" not in types and "integer" not in types:
                    return result
            elif not matches and format_ != self.format:
                result.add(_wrong_type(path, self.format, format_))
                return result
        if not matches:
            result.add(_wrong_type(path, ",".join(types), name))
        return result

    def _logic(self, value: Any, path: str) -> Result:
        result = Result()
        if self.any_of:
            self._any_of(value, path, result)
        if self.one_of:
            self._one_of(value, path, result)
        if self.all_of:
            good = 0
            for sub in self.all_of:
                found = sub.validate(value, path)
                good += found.valid
                result.merge(found)
            if good != len(self.all_of):
                none = "" if good else ". None validated"
                result.add(_general(f'"{path}" must validate all the schemas (allOf){none}'))
        if self.not_ is not None and self.not_.validate(value, path).valid:
            result.add(_general(f'"{path}" must not validate the schema (not)'))
        result.matches += 1
        return result

    def _any_of(self, value: Any, path: str, result: Result) -> None:
        best: Result | None = None
        for sub in self.any_of:
            found = sub.validate(value, path)
            if found.valid:
                result.merge(found)
                return
            if best is None or found.matches > best.matches:
                best = found
        result.add(_general(f'"{path}" must validate at least one schema (anyOf)'))
        assert best is not None
        result.merge(best)

    def _one_of(self, value: Any, path: str, result: Result) -> None:
        best: Result | None = None
        first: Result | None = None
        good = 0
        for sub in self.one_of:
            found = sub.validate(value, path)
            if found.valid:
                good, best, first = good + 1, None, first or found
            elif not good and (best is None or found.matches > best.matches):
                best = found
        if good == 1:
            assert first is not None
            result.merge(first)
            return
        how = f"Found {good} valid alternatives" if good else "Found none valid"
        result.add(_general(f'"{path}" must validate one and only one schema (oneOf). {how}'))
        if best is not None:
            result.merge(best)

    def _string(self, value: str, path: str) -> Result:
        result, schema = Result(), self.schema
        longest, shortest = schema.get("maxLength"), schema.get("minLength")
        if longest is not None and len(value) > longest:
            result.add(Finding("too_long", path, value, longest))
        elif shortest is not None and len(value) < shortest:
            result.add(_wrong(path, value, f"should be at least {shortest} chars long"))
        elif self.pattern is not None and self.pattern.search(value) is None:
            result.add(_wrong(path, value, f"should match '{schema['pattern']}'"))
        return result

    def _format(self, value: str, path: str) -> Result:
        result = Result()
        assert self.format_check is not None
        if not self.format_check(value):
            result.add(_wrong_type(path, self.format, value))
        return result

    def _number(self, value: float, path: str) -> Result:
        result, schema = Result(), self.schema
        self._fits(result, value, "Checked", path)
        multiple, highest, lowest = (schema.get(key) for key in ("multipleOf", "maximum", "minimum"))
        if multiple is not None:
            fits = self._fits(result, multiple, "MultipleOf", path)
            self._multiple(result, value, _native(value, multiple, fits) or multiple, path)
        if lowest is not None:
            lowest = _native(value, lowest, self._fits(result, lowest, "Minimum boundary", path))
            if value < lowest or (schema.get("exclusiveMinimum") and value == lowest):
                equal = "" if schema.get("exclusiveMinimum") else "or equal to "
                result.add(_wrong(path, value, f"should be greater than {equal}{shown(lowest)}"))
        if highest is not None:
            highest = _native(value, highest, self._fits(result, highest, "Maximum boundary", path))
            if value > highest or (schema.get("exclusiveMaximum") and value == highest):
                equal = "" if schema.get("exclusiveMaximum") else "or equal to "
                result.add(_wrong(path, value, f"should be less than {equal}{shown(highest)}"))
        result.matches += 1
        return result

    @staticmethod
    def _multiple(result: Result, value: float, of: float, path: str) -> None:
        if of < 0:
            result.add(Finding("invalid", path, of, None, NOT_POSITIVE.format(path, shown(of))))
        elif not _is_multiple(value, of):
            result.add(_wrong(path, value, f"should be a multiple of {shown(of)}"))

    def _fits(self, result: Result, value: float, prefix: str, path: str) -> bool:
        """Whether the schema's type and format can hold a number; if not, that is said of `prefix`."""
        kind = self.types[0] if self.types else ""
        fits = _fits_integer(value, self.format) if kind == "integer" else _fits_float(value, self.format)
        if not fits:
            how = f"with format {self.format}" if self.format else "(default format)"
            result.add(_general(f"{prefix} value must be of type {kind} {how} in {path}"))
        return fits

    def _list(self, value: list[Any], path: str) -> Result:
        result, schema = Result(), self.schema
        if self.items is not None:
            for index, item in enumerate(value):
                result.merge(self.items.validate(item, f"{path}[{index}]"))
        fewest, most = schema.get("minItems"), schema.get("maxItems")
        if fewest is not None and len(value) < fewest:
            result.add(_wrong(path, len(value), f"should have at least {fewest} items"))
        if most is not None and len(value) > most:
            result.add(Finding("too_many", path, len(value), most))
        if schema.get("uniqueItems") and not _unique(value):
            result.add(_wrong(path, None, "shouldn't contain duplicates"))
        result.matches += 1
        return result

    def _enum(self, value: Any, path: str) -> Result:
        result, allowed = Result(), self.schema.get("enum")
        if allowed and not _in(value, allowed):
            result.add(Finding("enum", path, value, tuple(allowed)))
        return result

    def _object(self, value: dict[str, Any], path: str) -> Result:
        result, schema = Result(), self.schema
        fewest, most = schema.get("minProperties"), schema.get("maxProperties")
        if fewest is not None and len(value) < fewest:
            result.add(_wrong(path, len(value), f"should have at least {fewest} properties"))
            return result
        if most is not None and len(value) > most:
            result.add(Finding("too_many", path, len(value), most))
            return result
        for key in sorted(value):
            if key in self.properties:
                continue
            if self.forbids_additional:
                text = f"{path}.{key} in body is a forbidden property"
                result.add(Finding("invalid", path, key, None, text))
            elif self.additional is not None:
                result.merge(self.additional.validate(value[key], f"{path}.{key}"))
        for key, sub in self.properties.items():
            if key in value:
                result.merge(sub.validate(value[key], f"{path}.{key}" if path else key))
        for key in self.required:
            if key not in value and not self.defaulted(key):
                result.add(Finding("required", f"{path}.{key}"))
        return result

    def defaulted(self, key: str) -> bool:
        """Whether a value of this property is never missing."""
        sub = self.properties.get(key)
        return sub is not None and sub.schema.get("default") is not None


def _general(text: str) -> Finding:
    return Finding("invalid", None, None, None, text)


def _wrong(path: str, value: Any, text: str) -> Finding:
    return Finding("invalid", path, value, None, f"{path} in body {text}")


def _wrong_type(path: str, wanted: str, got: str) -> Finding:
    from knarr.meta.gofmt import quote

    return Finding("type", path, got, None, f"{path} in body must be of type {wanted}: {quote(got)}")


def _native(value: float, constraint: float, fits: bool) -> float:
    """A constraint as the type that it is compared in: whole numbers are compared with whole numbers."""
    return int(constraint) if fits and isinstance(value, int) else float(constraint)


def _fits_float(value: float, format_: str) -> bool:
    return format_ != "float" or abs(value) < FLOAT32_MAX


def _is_multiple(value: float, of: float) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    if of == 0:
        return False
    return _is_whole(1 / of * value if of < 1 else value / of)


def _is_whole(value: float) -> bool:
    """Whether Kubernetes takes a quotient for a whole number; one that is slightly too small is none."""
    below = float(int(value))
    return value == below or bool(below) and (value - below) / (abs(value) + abs(below)) < EPSILON


def _fits_integer(value: float, format_: str) -> bool:
    if isinstance(value, float):
        if not value.is_integer():
            return False
        value = int(value)
    low, high = INTEGER_FORMATS.get(format_, INT64)
    return low <= value <= high


def _in(value: Any, allowed: list[Any]) -> bool:
    kind = value.__class__
    for item in allowed:
        if item == value and (item.__class__ is kind or {item.__class__, kind} <= {int, float}):
            return True
    return False


def _unique(values: list[Any]) -> bool:
    shown = [go_json(v) for v in values]
    return len(set(shown)) == len(shown)
