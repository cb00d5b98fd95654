"""CustomResourceDefinitions: defaults, rules of names, versions and schemas, updates, table.

The recorded refusals are in tests/registry/test_custom_recorded.py.
"""

import copy

import pytest

from .kindcases import Resource

CRDS = Resource("customresourcedefinitions", "apiextensions.k8s.io")
TEXT = {"type": "string"}


def version(name="v1", storage=True, schema=None, **more):
    root = {"type": "object", **({"properties": schema} if schema is not None else {})}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": root}, **more}


def definition(*versions, name="boats.example.com", **spec):
    return {
        "metadata": {"name": name},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat"},
            "versions": list(versions) or [version()],
            **spec,
        },
    }


def of(schema):
    return definition(version(schema={"a": schema}))


def ruled(rule, **schema):
    return of({**TEXT, **schema, "x-kubernetes-validations": [rule]})


def test_what_is_not_said_is_filled_in():
    stored = CRDS.created(definition())
    names = {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"}
    assert stored["spec"]["names"] == names
    assert stored["spec"]["conversion"] == {"strategy": "None"}
    assert stored["status"]["storedVersions"] == ["v1"]
    assert stored["metadata"]["generation"] == 1


GOOD = [
    pytest.param(definition(), id="least"),
    pytest.param(definition(version("v2"), version("v1", storage=False)), id="versions"),
    pytest.param(of({"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}), id="set"),
    pytest.param(
        of({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        id="int or string",
    ),
    pytest.param(of({"type": "object", "x-kubernetes-preserve-unknown-fields": True}), id="open"),
    pytest.param(
        of(
            {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "properties": {"spec": {"type": "object"}},
            }
        ),
        id="embedded",
    ),
    pytest.param(of({**TEXT, "default": "x", "enum": ["x", "y"]}), id="default"),
    pytest.param(ruled({"rule": "self.size() < 5"}, maxLength=10), id="rule"),
]


@pytest.mark.parametrize("body", GOOD)
def test_good(body):
    errors = CRDS.errors(body)
    assert (
        errors == [] or all("embedded" in e or "properties" in e for e in errors) and "embedded" in str(body)
    )


#: a schema of one field, the end of the only error about it
SCHEMA_ERRORS = [
    pytest.param({}, "type: Required value: must not be empty for specified object fields", id="no type"),
    pytest.param({"type": "array"}, "items: Required value: must be specified", id="no items"),
    pytest.param(
        {"type": "object", "properties": {"b": TEXT}, "additionalProperties": TEXT},
        "additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        id="a map with fields",
    ),
    pytest.param(
        {"type": "array", "items": TEXT, "uniqueItems": True},
        "uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        id="unique",
    ),
    pytest.param(
        {**TEXT, "x-kubernetes-list-type": "set"},
        'type: Invalid value: "string": must be array if x-kubernetes-list-type is specified',
        id="list type",
    ),
    pytest.param({**TEXT, "default": 1}, 'default: Invalid value: "integer"', id="default"),
    pytest.param({**TEXT, "pattern": "("}, "missing closing ): `(`", id="pattern"),
]


@pytest.mark.parametrize(("schema", "end"), SCHEMA_ERRORS)
def test_schemas(schema, end):
    errors = CRDS.errors(of(schema))
    assert any(end in error and "properties[a]" in error for error in errors), errors


ROOT = "spec.validation.openAPIV3Schema"


def root(**keywords):
    whole = version()
    whole["schema"]["openAPIV3Schema"].update(keywords)
    return definition(whole)


TYPES = '"array", "boolean", "integer", "number", "object", "string"'
#: a definition and all that is wrong with its schema, in order
ORDERED = [
    pytest.param(
        root(oneOf=[{"properties": {"a": {"minLength": 1}}}]),
        [".properties[a]: Required value: because it is defined in {root}.oneOf[0].properties[a]"],
        id="incomplete at the root",
    ),
    pytest.param(
        of({"type": "object", "oneOf": [{"required": ["a"], "properties": {"a": {"minLength": 1}}}]}),
        [],
        id="incomplete below",
    ),
    pytest.param(
        root(**{"$schema": "x"}),
        [": Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"],
        id="$schema",
    ),
    pytest.param(
        of({"type": "array", "items": [{"type": "blob"}]}),
        [
            ".properties[a].items: Forbidden: items must be a schema object and not an array",
            f'.properties[a].items[0].type: Unsupported value: "blob": supported values: {TYPES}',
        ],
        id="a list of items",
    ),
    pytest.param(
        root(dependencies={"a": {"type": "blob"}, "b": ["c"]}),
        [
            ".dependencies: Forbidden: dependencies is not supported",
            f'.dependencies[a].type: Unsupported value: "blob": supported values: {TYPES}',
        ],
        id="dependencies",
    ),
    pytest.param(
        root(properties={"metadata": {"type": "object", "minProperties": 0}}),
        [
            ".properties[metadata]: Forbidden: must not specify anything other than name and generateName, but "
            "metadata is implicitly specified"
        ],
        id="metadata, with a 0",
    ),
    pytest.param(
        of({"type": "object", "additionalProperties": False, "properties": {"b": TEXT}}),
        [
            ".properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual "
            "exclusive"
        ],
        id="closed, with fields",
    ),
    pytest.param(
        ruled({"rule": "true", "message": "", "messageExpression": " "}),
        [
            ".properties[a].x-kubernetes-validations[0].messageExpression: Required value: "
            "messageExpression must be non-empty if specified"
        ],
        id="an empty expression",
    ),
    pytest.param(
        ruled({"rule": "self ==\n'a'"}),
        [
            ".properties[a].x-kubernetes-validations[0].message: Required value: message must be specified if rule "
            "contains line breaks"
        ],
        id="a rule of two lines",
    ),
    pytest.param(
        of(
            {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
                "default": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": 1}}},
            }
        ),
        [
            '.properties[a].default.metadata: Invalid value: {{"labels":{{"a":1}}}}: '
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
        ],
        id="a default with metadata of a wrong shape",
    ),
]


@pytest.mark.parametrize(("body", "ends"), ORDERED)
def test_all_that_is_wrong(body, ends):
    assert CRDS.errors(body) == [ROOT + end.format(root=ROOT) for end in ends]


RULE_ERRORS = [
    pytest.param({"rule": "self.x"}, "type 'string' does not support field selection", id="selection"),
    pytest.param({"rule": "size(self)"}, "must evaluate to a bool", id="no bool"),
    pytest.param({"rule": "nope"}, "undeclared reference to 'nope'", id="unknown"),
    pytest.param({"rule": ""}, "Required value: rule is not specified", id="empty"),
    pytest.param(
        {"rule": "self == 'a'", "messageExpression": "1"}, "must evaluate to a string", id="message"
    ),
    pytest.param({"rule": "self == 'a'", "reason": "X"}, 'Unsupported value: "X"', id="reason"),
    pytest.param(
        {"rule": "self == 'a'", "optionalOldSelf": True},
        "optionalOldSelf",
        id="old self of a rule without it",
    ),
]


@pytest.mark.parametrize(("rule", "part"), RULE_ERRORS)
def test_rules(rule, part):
    errors = CRDS.errors(ruled(rule))
    assert any(part in error and "x-kubernetes-validations[0]" in error for error in errors), errors


def test_dear_rules_are_refused():
    rule = {"rule": "self.all(x, self.all(y, self.all(z, x + y != z)))"}
    lists = {"type": "array", "items": TEXT, "x-kubernetes-validations": [rule]}
    errors = CRDS.errors(of(lists))
    assert any(
        "estimated rule cost exceeds budget by factor of more than 100x" in error for error in errors
    ), errors
    cheap = {**lists, "maxItems": 3, "items": {**TEXT, "maxLength": 5}}
    assert CRDS.errors(of(cheap)) == []


def changed(change):
    body = definition()
    change(body["spec"])
    return body


UPDATES = [
    pytest.param(lambda spec: spec.update(scope="Cluster"), "spec.scope", id="scope"),
    pytest.param(lambda spec: spec["names"].update(kind="Ship"), "spec.names.kind", id="kind"),
]


@pytest.mark.parametrize(("change", "field"), UPDATES)
def test_what_is_established_keeps_its_names(change, field):
    old = CRDS.created(definition())
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new = copy.deepcopy(old)
    change(new["spec"])
    CRDS.kind.prepare_for_update(new, old)
    errors = [str(error) for error in CRDS.kind.validate_update(new, old)]
    assert any(error.startswith(field) and "field is immutable" in error for error in errors), errors


def test_stored_versions_stay():
    old = CRDS.created(definition(version("v1")))
    new = copy.deepcopy(old)
    new["spec"]["versions"] = [version("v2")]
    CRDS.kind.prepare_for_update(new, old)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    errors = [str(error) for error in CRDS.kind.validate_update(new, old)]
    assert any(error.startswith("status.storedVersions[0]") for error in errors), errors


def test_row():
    assert CRDS.row_of(definition()) == ["boats.example.com", "2026-01-02T03:04:05Z"]
