"""Write src/knarr/api/data/protobuf.json from protobuf field facts: python tools/make_protobuf.py fields.json.gz

One row per definition of the schema: its JSON field names with their protobuf numbers.
"""

import gzip
import json
import sys
from pathlib import Path

from knarr.api import schema

PACKAGES = (
    ("io.k8s.apiextensions-apiserver.", "k8s.io.apiextensions_apiserver."),
    ("io.k8s.kube-aggregator.", "k8s.io.kube_aggregator."),
    ("io.k8s.", "k8s.io."),
)


def message_of(definition):
    for ours, theirs in PACKAGES:
        if definition.startswith(ours):
            return theirs + definition.removeprefix(ours)
    return definition


def plain(name):
    return name.lower().replace("-", "").replace("$", "").replace("_", "")


def inlined(messages, message, wanted, depth=3):
    """The numbers that lead to a field of a struct that JSON embeds and protobuf nests."""
    package = message.rpartition(".")[0]
    for number, _, type_, label in messages.get(message, ()):
        if label == "repeated" or type_.startswith("map<") or not depth:
            continue
        inner = type_.removeprefix(".") if type_.startswith(".") else f"{package}.{type_}"
        for inner_number, field, _, _ in messages.get(inner, ()):
            if plain(field) == wanted:
                return [number, inner_number]
    for number, _, type_, label in messages.get(message, ()):
        inner = f"{package}.{type_}"
        if label != "repeated" and inner in messages and depth > 1:
            if rest := inlined(messages, inner, wanted, depth - 1):
                return [number, *rest]
    return None


def main(path):
    with gzip.open(path) as file:
        messages = json.loads(file.read())
    rows = {}
    for name, definition in schema.load().items():
        fields = messages.get(message_of(name))
        if fields is None or not definition.fields:
            continue
        numbers = {plain(field): number for number, field, _, _ in fields}
        row = {
            json_name: numbers[plain(json_name)]
            for json_name in definition.fields
            if plain(json_name) in numbers
        }
        for json_name in definition.fields:
            if json_name in row or json_name in ("kind", "apiVersion"):
                continue
            if path := inlined(messages, message_of(name), plain(json_name)):
                row[json_name] = path
        missing = [n for n in definition.fields if n not in row and n not in ("kind", "apiVersion")]
        if missing:
            print(name, "has no number for", missing, file=sys.stderr)
        rows[name] = row
    lines = [
        f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in sorted(rows.items())
    ]
    Path("src/knarr/api/data/protobuf.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main(sys.argv[1])
