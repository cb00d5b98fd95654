"""YAML as sigs.k8s.io/yaml writes it: sorted keys, folded at 80, double quotes for what would not stay a string."""

from __future__ import annotations

import re
from typing import Any

import yaml

from knarr.meta import goyaml

STRING = "tag:yaml.org,2002:str"
#: sexagesimal numbers and times, which Go quotes
SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    pass


def _string(dumper: Any, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif (
        not isinstance(goyaml.plain(text), str)
        or dumper.resolve(yaml.ScalarNode, text, (True, False)) != STRING
        or SEXAGESIMAL.fullmatch(text)
    ):
        style = '"'
    return dumper.represent_scalar(STRING, text, style=style)


_Dumper.add_representer(str, _string)


def dump(obj: Any) -> bytes:
    return yaml.dump(obj, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=80).encode()
