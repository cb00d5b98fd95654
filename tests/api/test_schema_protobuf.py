"""What is absent from a protobuf message is behind a pointer: Go's encoder writes every other scalar and struct."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from knarr.api import schema

FOLDER = Path(__file__).parents[3] / "shared" / "protobuf"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs the recordings in ../shared")
SCALARS = {"string", "bool", "int32", "int64", "double", "bytes"}


def read(name):
    with gzip.open(FOLDER / name) as file:
        return json.load(file)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def split(data):
    """Field number -> values; nested messages are bytes."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if tag & 7 == 2 else (8, at)
            value, at = data[at : at + size], at + size
        found.setdefault(tag >> 3, []).append(value)
    return found


def absent(messages, name, data):
    """(message, field) of every single field that is not in the data, nested messages included."""
    package, found = name.rpartition(".")[0], split(data)
    for number, field, type_, label in messages[name]:
        if type_.startswith("map<"):
            continue
        inner = type_.lstrip(".") if "." in type_ else f"{package}.{type_}"
        if type_ not in SCALARS and inner in messages:
            for value in found.get(number, ()):
                yield from absent(messages, inner, value)
        if number not in found and label != "repeated" and type_ != "bytes":
            yield name, field


def test_what_protobuf_leaves_out_is_a_pointer():
    messages = read("fields.json.gz")
    wrong, checked = set(), 0
    for sample in read("samples.json.gz"):
        group, _, version = sample["json"]["apiVersion"].rpartition("/")
        message = schema.definition_of(group, version, sample["json"]["kind"]).replace("io.k8s", "k8s.io", 1)
        envelope = split(base64.b64decode(sample["protobuf"])[4:])
        for name, field in absent(messages, message, envelope[2][0]):
            definition = schema.load().get(name.replace("k8s.io", "io.k8s", 1))
            if definition and field in definition.fields:
                checked += 1
                if definition.fields[field].behaviour not in "pn":
                    wrong.add(f"{name}.{field}")
    assert wrong == set()
    assert checked > 600
