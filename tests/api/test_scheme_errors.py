"""What is wrong with a body, in Go's words."""

import json
import re
from pathlib import Path

import pytest

from knarr.api import schema
from knarr.api.decoding import find_duplicates
from knarr.api.scheme import DecodeError, Strictness, scheme

SCENARIOS = Path(__file__).parents[3] / "shared" / "parity" / "scenarios"
POD, SECRET, LEASE = (
    f"io.k8s.api.{name}" for name in ("core.v1.Pod", "core.v1.Secret", "coordination.v1.Lease")
)
FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"
QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
CONTAINER = '{"spec":{"containers":[{%s}]}}'


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        (
            POD,
            '{"spec":{"containers":{}}}',
            FIELD.format("object", "PodSpec.spec.containers", "[]v1.Container"),
        ),
        (POD, '{"spec":{"hostname":5}}', FIELD.format("number", "PodSpec.spec.hostname", "string")),
        (
            POD,
            '{"spec":{"restartPolicy":5}}',
            FIELD.format("number", "PodSpec.spec.restartPolicy", "v1.RestartPolicy"),
        ),
        (POD, '{"spec":{"hostNetwork":"yes"}}', FIELD.format("string", "PodSpec.spec.hostNetwork", "bool")),
        (
            POD,
            '{"spec":{"priority":99999999999}}',
            FIELD.format("number 99999999999", "PodSpec.spec.priority", "int32"),
        ),
        (POD, '{"spec":{"priority":1.50}}', FIELD.format("number 1.50", "PodSpec.spec.priority", "int32")),
        (POD, '{"spec":{"priority":1.0}}', FIELD.format("number 1.0", "PodSpec.spec.priority", "int32")),
        (POD, '{"spec":{"priority":1e3}}', FIELD.format("number 1e3", "PodSpec.spec.priority", "int32")),
        (
            POD,
            '{"metadata":{"labels":{"a":1}}}',
            FIELD.format("number", "ObjectMeta.metadata.labels", "string"),
        ),
        (POD, '{"metadata":[]}', FIELD.format("array", "Pod.metadata", "v1.ObjectMeta")),
        (
            POD,
            '{"spec":{"nodeSelector":[]}}',
            FIELD.format("array", "PodSpec.spec.nodeSelector", "map[string]string"),
        ),
        (
            POD,
            CONTAINER % '"resources":{"limits":5}',
            FIELD.format(
                "number", "ResourceRequirements.spec.containers.resources.limits", "v1.ResourceList"
            ),
        ),
        (
            POD,
            CONTAINER % '"securityContext":{"capabilities":{"add":[5]}}',
            FIELD.format(
                "number", "Capabilities.spec.containers.securityContext.capabilities.add", "v1.Capability"
            ),
        ),
        (POD, CONTAINER % '"resources":{"limits":{"cpu":"lots"}}', QUANTITY),
        (POD, CONTAINER % '"resources":{"limits":{"cpu":true}}', QUANTITY),
        # what decodes itself ends the decoding; an ordinary wrong type waits for the end
        (POD, '{"spec":{"hostname":5,"overhead":{"cpu":"x"}}}', QUANTITY),
        (
            POD,
            CONTAINER % '"livenessProbe":{"tcpSocket":{"port":true}}',
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (
            POD,
            '{"metadata":{"creationTimestamp":"yesterday"}}',
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (
            POD,
            '{"metadata":{"creationTimestamp":5}}',
            "json: cannot unmarshal number into Go value of type string",
        ),
        (
            LEASE,
            '{"spec":{"renewTime":"yesterday"}}',
            'parsing time "yesterday" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (SECRET, '{"data":{"a":"no!"}}', "illegal base64 data at input byte 2"),
        (SECRET, '{"data":{"a":"YQ="}}', "illegal base64 data at input byte 3"),
        (SECRET, '{"data":{"a":"YQ"}}', "illegal base64 data at input byte 0"),
        (SECRET, '{"data":{"a":"YQ==x"}}', "illegal base64 data at input byte 4"),
        (SECRET, '{"data":{"a":"=YQ="}}', "illegal base64 data at input byte 0"),
        (SECRET, '{"data":{"a":"YQ=x"}}', "illegal base64 data at input byte 2"),
        (POD, "[]", "json: cannot unmarshal array into Go value of type v1.Pod"),
        (POD, '{"kind":', "unexpected end of JSON input"),
        (POD, '{"kind":"Pod",}', "invalid character '}' looking for beginning of object key string"),
        (POD, '{"spec":NaN}', "invalid character 'N' looking for beginning of value"),
    ],
)
def test_what_cannot_be_decoded(name, body, message):
    for strict in Strictness:
        with pytest.raises(DecodeError) as caught:
            scheme().decode_object(name, body.encode(), strict)
        assert str(caught.value) == message
    with pytest.raises(DecodeError) as caught:
        scheme().decode(name, body.encode())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            '{"metadata":{"name":"a","zlabel":1},"spec":{"foo":1}}',
            ['unknown field "metadata.zlabel"', 'unknown field "spec.foo"'],
        ),
        ('{"Kind":"Pod"}', ['unknown field "Kind"']),
        # in the order of the body, with indexes; unknown things are not looked into
        (
            CONTAINER % '"name":"c","imagee":{"x":1,"x":2},"env":[{"name":"A","valeu":"b"}]',
            ['unknown field "spec.containers[0].imagee"', 'unknown field "spec.containers[0].env[0].valeu"'],
        ),
        (
            '{"metadata":{"labels":{"a":"1","a":"2"},"name":"a","name":"a"}}',
            ['duplicate field "metadata.labels.a"', 'duplicate field "metadata.name"'],
        ),
        ('{"metadata":{"name":"a"},"metadata":{"name":"b"}}', ['duplicate field "metadata"']),
        # the same error is reported once
        ('{"x":1,"x":2,"x":3}', ['unknown field "x"']),
        (
            '{"metadata":{"annotations":{"\\u0061":"1","a":"2"}}}',
            ['duplicate field "metadata.annotations.a"'],
        ),
        ('{"metadata":{"annotations":{"a":"{\\"a\\":1,\\"a\\":2}"}}}', []),
    ],
)
def test_what_the_strict_decoder_reports(body, errors):
    assert scheme().decode_object(POD, body.encode())[1] == errors
    assert scheme().decode_object(POD, body.encode(), Strictness.IGNORE)[1] == []


def test_strict_errors_are_bounded():
    body = json.dumps({f"f{i}": i for i in range(500)}).encode()
    assert len(scheme().decode_object(POD, body)[1]) == 100


def test_schemas_inside_items_are_not_reported():
    versions = [{"schema": {"openAPIV3Schema": {"x": 1, "items": {"y": 1}, "properties": {"a": {"z": 1}}}}}]
    obj, errors = scheme().decode_object(
        schema.EXT + "CustomResourceDefinition", json.dumps({"spec": {"versions": versions}}).encode()
    )
    where = "spec.versions[0].schema.openAPIV3Schema"
    assert errors == [f'unknown field "{where}.x"', f'unknown field "{where}.properties.a.z"']
    assert obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {"items": {}, "properties": {"a": {}}}


def test_a_part_is_reported_where_it_stands():
    _, errors = scheme().normalize(schema.META + "ObjectMeta", {"bogus": 1}, path="metadata")
    assert errors == ['unknown field "metadata.bogus"']


def test_duplicates_of_bodies_without_a_type():
    assert find_duplicates(b'{"a":{"b":1,"b":2},"c":[{"d":1,"d":2}],"a":0}') == [
        'duplicate field "a.b"',
        'duplicate field "c[0].d"',
        'duplicate field "a"',
    ]


def steps(scenario):
    for step in scenario["steps"]:
        yield step
        yield from steps({"steps": step.get("during", [])})


def recorded():
    """(kind, body, what the recorded server said after `cannot be handled as a KIND: `)."""
    for path in sorted(SCENARIOS.glob("*.json")):
        for step in steps(json.loads(path.read_text())):
            body, answer = step.get("body"), step.get("expect", {}).get("body")
            message = answer.get("message", "") if isinstance(answer, dict) else ""
            said = re.match(r'(\w+) in version "\w+" cannot be handled as a (\w+): ((?s:.*))', message)
            if said is None or said[1] != said[2] or re.search("conver|registered|yaml:", said[3]):
                continue
            text = body if isinstance(body, str) else json.dumps(body)
            if text.startswith("{"):
                yield pytest.param(text, said[3], id=f"{path.stem}/{step['id']}")


@pytest.mark.skipif(not SCENARIOS.exists(), reason="needs the recordings in ../shared")
@pytest.mark.parametrize(
    ("body", "message"), list(recorded()) or [pytest.param("", "", marks=pytest.mark.skip)]
)
def test_recorded_messages(body, message):
    parsed = json.loads(body)
    group, _, version = parsed["apiVersion"].rpartition("/")
    try:
        name = schema.definition_of(group, version, parsed["kind"])
    except KeyError:
        pytest.skip("a custom resource")
    try:
        _, errors = scheme().decode_object(name, body.encode())
        assert message == "strict decoding error: " + ", ".join(errors)
    except DecodeError as error:
        assert message == str(error)
