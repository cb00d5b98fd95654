"""What rules may cost at most, for schemas without limits and with them. The numbers are Kubernetes'."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.apiextensions.rules.compile import compile_rules

Schema = dict[str, Any]
STRING, NUMBER = {"type": "string"}, {"type": "number"}
FORMATS = ("duration", "date", "date-time", "byte")
OBJECT: Schema = {
    "type": "object",
    "properties": {"required": STRING, "optional": STRING},
    "required": ["required"],
}


def of(name: str) -> Schema:
    if name in FORMATS:
        return {"type": "string", "format": name}
    return {"x-kubernetes-int-or-string": True} if name == "int-or-string" else {"type": name}


def most(schema: Schema, key: str, number: int | None) -> Schema:
    return schema if number is None else {**schema, key: number}


def array(items: Schema | str, limit: int | None) -> Schema:
    items = of(items) if isinstance(items, str) else items
    return most({"type": "array", "items": items}, "maxItems", limit)


def mapping(values: Schema | str, limit: int | None) -> Schema:
    values = of(values) if isinstance(values, str) else values
    return most({"type": "object", "additionalProperties": values}, "maxProperties", limit)


def text(name: str, limit: int | None) -> Schema:
    return most(of(name), "maxLength", limit)


def texts(_: str, limit: int | None) -> Schema:
    return array(text("string", limit), limit)


def texts_by_name(_: str, limit: int | None) -> Schema:
    return mapping(text("string", limit), limit)


def fields(**lengths: int) -> Any:
    def schema(_: str, limit: int | None) -> Schema:
        return {"type": "object", "properties": {k: text("string", v or limit) for k, v in lengths.items()}}

    return schema


def nested(_: str, limit: int | None) -> Schema:
    return array(mapping(most(OBJECT, "maxProperties", limit), limit), limit)


def half_nested(_: str, limit: int | None) -> Schema:
    return array(mapping(OBJECT, limit), None)


def enum(_: str, limit: int | None) -> Schema:
    return most({"type": "string", "enum": ["A", "B", "C", "LongValue"]}, "maxLength", limit)


ALL = "self.all(x, true)"
#: the schema, what is in it, the rule, its cost without a limit, the limit, its cost with it
COSTS = [
    (array, "number", ALL, 4718591, 10, 32),
    (array, "string", ALL, 3145727, 20, 62),
    (array, "boolean", ALL, 1887437, 5, 17),
    (array, {"type": "array", "items": NUMBER}, ALL, 3145727, 100, 302),
    (array, OBJECT, ALL, 555128, 50, 152),
    (array, "int-or-string", ALL, 4718591, 10, 32),
    (array, "duration", ALL, 2359295, 5, 17),
    (array, "date", ALL, 725936, 15, 47),
    (array, "date-time", ALL, 428963, 25, 77),
    (mapping, "number", ALL, 1348169, 10, 32),
    (mapping, "string", ALL, 1179647, 3, 11),
    (mapping, "boolean", ALL, 943718, 100, 302),
    (mapping, "int-or-string", ALL, 1348169, 15, 47),
    (mapping, OBJECT, ALL, 428963, 20, 62),
    (mapping, {"type": "object", "additionalProperties": NUMBER}, ALL, 1179647, 10, 32),
    (mapping, {"type": "array", "items": NUMBER}, ALL, 1179647, 25, 77),
    (mapping, "duration", ALL, 1048577, 5, 17),
    (mapping, "date", ALL, 524288, 10, 32),
    (mapping, "date-time", ALL, 349526, 25, 77),
    (text, "string", "self.contains('test')", 314574, 10, 5),
    (text, "string", "self.startsWith('test')", 2, 15, 2),
    (text, "string", "self.endsWith('test')", 2, 30, 2),
    (text, "string", 'size(self + "hello") > size("hello")', 314578, 4, 7),
    (array, "number", "self[1] == 0.0", 2, 5000, 2),
    (array, "string", "self[1] == self[1]", 314577, 8, 314577),
    (array, "number", "self.all(x, self.all(y, true))", None, 10, 352),
    (array, "number", "self.all(x, self.all(y, self.all(z, true)))", None, 10, 3552),
    (text, "string", 'self.matches("x")', 314574, 50, 22),
    (text, "string", '"".matches("(((((((((())))))))))[0-9]")', 7, 10, 7),
    (text, "string", 'self.matches("")', 1, 100, 1),
    (texts_by_name, "", "self.all(x, x.contains(self[x]))", 2752507, 10, 72),
    (array, "number", "self[3] == 0.0", 2, 0, 2),
    (mapping, "number", 'self["x"] == 0.0', 2, 0, 2),
    (text, "string", 'self == "x"', 2, 0, 1),
    (text, "byte", 'self == b"x"', 2, 0, 1),
    (array, "number", "self.all(x, x == 0.0)", 6291454, 3 * 1024 * 2048, 25165826),
    (nested, "", 'self.all(x, x["y"].required == "z")', 7340027, 10, 72),
    (half_nested, "", 'self.all(x, x["y"].required == "z")', 7340027, 10, 7340027),
    (array, "int-or-string", "self[0] == 5", 3, 10, 3),
    (array, "boolean", "self[0] == false", 2, 25, 2),
    (array, OBJECT, "self[0] == null", 2, 422, 2),
    (array, {"type": "array", "items": NUMBER}, "self[0][0] == -1.0", 3, 51, 3),
    (array, {"type": "object", "additionalProperties": NUMBER}, "self.all(x, x.y == 25.2)", 6291452, 12, 74),
    (array, {"type": "object", "additionalProperties": NUMBER}, "self[0].x > 2.0", 4, 3000, 4),
    (array, "duration", "self[0].getHours() == 2", 4, 525, 4),
    (array, "date", "self[2].getDayOfMonth() == 13", 4, 42, 4),
    (array, "date-time", "self[2].getMinutes() == 45", 4, 99, 4),
    (text, "string", "self.find('[0-9]+') == ''", 629147, 10, 11),
    (texts, "", "self.join(' ') == 'aa bb'", 329853068905, 10, 43),
    (texts, "", "self.isSorted() == true", 329854432052, 10, 52),
    (
        fields(str=0, before=2, after=4),
        "",
        "self.str.replace(self.before, self.after) == 'no matter'",
        629153,
        4,
        11,
    ),
    (fields(str=0, separator=0), "", "self.str.split(self.separator) == []", 629160, 10, 22),
    (text, "string", "self.lowerAscii() == 'lower!'", 314575, 10, 6),
    (mapping, "integer", "oldSelf.size() == self.size()", 5, 10, 5),
    (mapping, "date-time", 'self["a"] == self["b"]', 8, 7, 8),
    (mapping, "duration", 'self["c"] == self["d"]', 8, 42, 8),
    (enum, "", "self.contains('A')", 2, 1000, 401),
]


def cost(schema: Schema, rule: str) -> int:
    found = compile_rules({**schema, "x-kubernetes-validations": [{"rule": rule}]}, False)
    assert found is not None and not found[0].error, found and found[0].error
    return found[0].max_cost


@pytest.mark.parametrize(("shape", "inside", "rule", "without", "limit", "limited"), COSTS)
def test_estimates(shape: Any, inside: Any, rule: str, without: int | None, limit: int, limited: int) -> None:
    estimate = cost(shape(inside, None), rule)
    assert estimate == without if without is not None else estimate > 10_000_000
    assert cost(shape(inside, limit), rule) == limited
