"""Every object that a v1.36 server answered is already in wire form: decoding changes nothing."""

import gzip
import json
from pathlib import Path

import pytest

from knarr.api import schema
from knarr.api.resources import RESOURCES
from knarr.api.scheme import scheme

SHARED = Path(__file__).parents[3] / "shared"
TIMES = {"<time>": "2026-01-02T03:04:05Z", "<microtime>": "2026-01-02T03:04:05.000006Z", "<nodePort>": 30000}
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="needs the recordings in ../shared")


def bodies(step):
    """The objects of one step's answer, and whether parts of them were left out of the recording."""
    body = step.get("expect", {}).get("body")
    if isinstance(body, dict):
        events = body.get("events")
        found = [e["object"] for e in events if isinstance(e, dict) and "object" in e] if events else [body]
        for obj in found:
            if (
                isinstance(obj, dict)
                and isinstance(obj.get("kind"), str)
                and isinstance(obj.get("apiVersion"), str)
            ):
                yield obj, bool(step.get("ignore"))
    for inner in step.get("during", ()):
        yield from bodies(inner)


def recorded():
    for path in sorted((SHARED / "parity" / "scenarios").glob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            for obj, partial in bodies(step):
                yield f"{path.stem}/{step['id']}", obj, partial
    with gzip.open(SHARED / "protobuf" / "samples.json.gz") as file:
        for sample in json.load(file):
            yield sample["path"], sample["json"], False
    rows = {row.name: row for row in RESOURCES}
    for path in sorted((SHARED / "parity" / "docs" / "bootstrap").glob("*.json")):
        if row := rows.get(path.stem):
            for obj in json.loads(path.read_text()):
                yield path.name, {"apiVersion": row.api_version, "kind": row.kind, **obj}, True


def real(value):
    """The recording with its placeholders filled in; those of bytes must be base64."""
    if isinstance(value, dict):
        return {key: real(item) for key, item in value.items()}
    if isinstance(value, list):
        return [real(item) for item in value]
    if isinstance(value, str) and value.startswith("<"):
        return TIMES.get(value, "YQ==")
    return value


def differences(want, got, partial, path=""):
    """Paths at which two objects differ; a partial recording may lack fields. Elements of lists lose the kind and
    apiVersion that our types always have."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(set(want) | set(got)):
            here = f"{path}.{key}"
            if key not in want:
                if not partial and not (path.endswith("]") and key in ("kind", "apiVersion")):
                    yield f"{here}: only we have {got[key]!r}"
            elif key not in got:
                yield f"{here}: only the recording has {want[key]!r}"
            else:
                yield from differences(want[key], got[key], partial, here)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for index, (a, b) in enumerate(zip(want, got, strict=True)):
            yield from differences(a, b, partial, f"{path}[{index}]")
    elif want != got or type(want) is not type(got):
        yield f"{path}: {want!r} became {got!r}"


def test_recorded_objects():
    found, met = [], 0
    for where, obj, partial in recorded():
        group, _, version = obj["apiVersion"].rpartition("/")
        try:
            name = schema.definition_of(group, version, obj["kind"])
        except KeyError:
            continue  # a custom resource
        met += 1
        want, body = real(obj), json.dumps(real(obj)).encode()
        got, errors = scheme().decode_object(name, body)
        typed = scheme().to_dict(scheme().decode(name, body))
        slow, _ = scheme().normalize(name, want)
        found += [f"{where}: {error}" for error in errors]
        for way, result in (("decode_object", got), ("to_dict", typed), ("normalize", slow)):
            found += [f"{where} {way} {difference}" for difference in differences(want, result, partial)]
    assert met > 2900
    assert [f for f in found if not known(f)] == []


def known(difference):
    """Types do not tell null from [] where Go writes null; that shows for kinds that are not stored as protobuf."""
    return difference.endswith(": None became []")


@pytest.mark.skipif(not SHARED.exists(), reason="needs the recordings in ../shared")
def test_openapi_is_the_recorded_one():
    with gzip.open(SHARED / "parity" / "docs" / "openapi" / "v2.json.gz") as file:
        want = json.load(file)["definitions"]
    ours = schema.definitions()
    assert sorted(ours) == sorted(want)
    for name, definition in want.items():
        got = plain(ours[name])
        for field in got.get("properties", {}).values():
            field.pop("default", None)  # only v3 has it
        want_plain = plain(definition)
        assert sorted(got.pop("required", [])) == sorted(want_plain.pop("required", []))
        assert got == want_plain, name


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}
    return [plain(v) for v in value] if isinstance(value, list) else value
