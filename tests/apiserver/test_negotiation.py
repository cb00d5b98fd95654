"""Which representation an Accept header gets, and how the answers look."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver import yamltext
from knarr.apiserver.negotiate import JSON, PROTOBUF, YAML, accept

from .conftest import configmap

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
CHOICES = [
    # header, media type, transformed to (None: nothing can be served)
    ("", JSON, ""),
    ("*/*", JSON, ""),
    ("application/json", JSON, ""),
    ("application/yaml", YAML, ""),
    ("application/vnd.kubernetes.protobuf", PROTOBUF, ""),
    ("application/vnd.kubernetes.protobuf, application/json", PROTOBUF, ""),
    ("application/json;q=0.5, application/yaml", YAML, ""),
    ("text/html, application/yaml;q=0.1", YAML, ""),
    ("text/html, */*;q=0.1", JSON, ""),
    ("text/html", None, ""),
    ("*/*, application/yaml", YAML, ""),
    ("application/*", None, ""),
    ("application/cbor", None, ""),
    ("application/cbor, application/json;q=0.1", JSON, ""),
    (f"{PROTOBUF};as=Table;v=v1;g=meta.k8s.io", None, ""),
    (TABLE, JSON, "Table"),
    (f"{TABLE},application/json", JSON, "Table"),
    ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", JSON, "Table"),
    ("application/yaml;as=Table;v=v1;g=meta.k8s.io", YAML, "Table"),
    ("application/json;as=Table;v=v9;g=meta.k8s.io", None, ""),
    ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", JSON, ""),
    ("application/json;as=Nope;v=v1;g=meta.k8s.io", None, ""),
    (PARTIAL, JSON, "PartialObjectMetadata"),
    ("application/json;charset=utf-8", JSON, ""),
]


@pytest.mark.parametrize(("header", "media_type", "as_kind"), CHOICES)
def test_choice(header, media_type, as_kind):
    chosen = accept(header)
    assert (chosen and (chosen.media_type, chosen.as_kind)) == (media_type and (media_type, as_kind))


def test_custom_resources_have_no_protobuf():
    assert accept("application/vnd.kubernetes.protobuf", protobuf=False) is None
    assert accept("application/vnd.kubernetes.protobuf,application/json", protobuf=False).media_type == JSON


def test_one_object_in_every_form(serve, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = serve("POST", path, configmap("a", b="c", flag="yes")).json
    as_json = serve.get(f"{path}/a")
    assert as_json.headers["content-type"] == "application/json" and as_json.json == made
    as_yaml = serve.get(f"{path}/a", "application/yaml")
    assert as_yaml.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(as_yaml.body.replace(made["metadata"]["creationTimestamp"].encode(), b"x")) == {
        **made,
        "metadata": {
            **made["metadata"],
            "creationTimestamp": "x",
            "managedFields": [{**made["metadata"]["managedFields"][0], "time": "x"}],
        },
    }
    partial = serve.get(f"{path}/a", PARTIAL).json
    assert partial == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }


INDENTED = [
    # query, Accept, User-Agent, whether the answer has lines and indents
    ("", "", "kubectl/v1.36", False),
    ("?pretty=true", "", "kubectl/v1.36", True),
    ("?pretty=1", "", "kubectl/v1.36", True),
    ("?pretty=nonsense", "", "curl/8.5", False),
    ("?pretty=false", "", "curl/8.5", False),
    ("?pretty=", "", "curl/8.5", True),
    ("", "", "curl/8.5", True),
    ("", "text/html,*/*;q=0.8", "Mozilla/5.0 (X11)", True),
    ("", "", "Wget/1.21", True),
    ("", "application/json;pretty=1", "kubectl/v1.36", True),
    ("", TABLE, "curl/8.5", True),
]


@pytest.mark.parametrize(("query", "accepted", "agent", "indented"), INDENTED)
@pytest.mark.parametrize(
    "path", ["/api/v1/namespaces/default", "/api/v1/namespaces", "/api/v1/nodes/nobody", "/apis"]
)
def test_people_get_lines_and_indents(serve, path, query, accepted, agent, indented):
    if path == "/apis" and accepted == TABLE:
        return
    body = serve.get(path + query, accepted, User_Agent=agent).body
    assert body.startswith(b"{\n  ") is indented and (b"\n" in body) is indented


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1"])
def test_discovery_in_every_form(serve, path):
    from knarr.api import protobuf

    plain = serve.get(path).json
    assert yaml.safe_load(serve.get(path, YAML).body) == plain
    packed = serve.get(path, PROTOBUF)
    assert packed.headers["content-type"] == PROTOBUF
    assert protobuf.decode(packed.body, ("v1", ""))["kind"] == plain["kind"]


def test_a_table_of_a_list_and_of_one(serve, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in "ab":
        serve("POST", path, configmap(name, **{name: "1"}))
    table = serve.get(path, TABLE).json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in table["rows"]] == [["a", 1], ["b", 1]]
    assert {row["object"]["kind"] for row in table["rows"]} == {"PartialObjectMetadata"}
    assert table["metadata"]["resourceVersion"] == serve.get(path).json["metadata"]["resourceVersion"]
    (row,) = serve.get(f"{path}/a?includeObject=Object", TABLE).json["rows"]
    assert row["object"]["data"] == {"a": "1"} and row["object"]["kind"] == "ConfigMap"
    assert serve.get(f"{path}/a?includeObject=None", TABLE).json["rows"][0]["object"] is None
    refused = serve.get(f"{path}/a?includeObject=Half", TABLE)
    assert (
        refused.status == 400 and "must be 'Metadata', 'Object', 'None', or empty" in refused.json["message"]
    )


REFUSALS = [
    # path, accept, code, message
    ("configmaps", "text/html", 406, "406: Not Acceptable\n\nAvailable representations: application/json,"),
    ("configmaps/a", "text/html", 406, "application/yaml, application/vnd.kubernetes.protobuf"),
    ("configmaps/a", "application/json;as=Nope;v=v1;g=meta.k8s.io", 406, "only the following media types"),
    ("configmaps", PARTIAL, 406, "you requested PartialObjectMetadata, but the requested object is a list"),
    (
        "configmaps/a",
        PARTIAL.replace("Metadata;", "MetadataList;"),
        406,
        "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
    ),
]


@pytest.mark.parametrize(("path", "accepted", "code", "message"), REFUSALS)
def test_what_cannot_be_served(serve, namespace, path, accepted, code, message):
    serve("POST", f"/api/v1/namespaces/{namespace}/configmaps", configmap("a"))
    answer = serve.get(f"/api/v1/namespaces/{namespace}/{path}", accepted)
    assert answer.status == code and message in answer.json["message"]


def test_errors_come_in_the_clients_form(serve):
    answer = serve.get("/api/v1/namespaces/absent", "application/yaml")
    assert answer.status == 404 and answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.body)["message"] == 'namespaces "absent" not found'
    answer = serve.get("/api/v1/namespaces/absent", "application/vnd.kubernetes.protobuf")
    assert answer.status == 404 and answer.body[:4] == b"k8s\0"


def test_an_empty_list_of_metadata_is_null(serve, namespace):
    wanted = PARTIAL.replace("Metadata;", "MetadataList;")
    assert serve.get(f"/api/v1/namespaces/{namespace}/pods", wanted).json["items"] is None
    assert serve.get(f"/api/v1/namespaces/{namespace}/pods").json["items"] == []


def test_large_answers_are_compressed_for_who_can_read_them(serve, namespace):
    import gzip

    path = f"/api/v1/namespaces/{namespace}/configmaps"
    serve("POST", path, configmap("big", text="x" * 200_000))
    plain, small, disliked = (
        serve.get(f"{path}/big"),
        serve.get("/api/v1/namespaces/default", "", Accept_Encoding="gzip"),
        serve.get(f"{path}/big", "", Accept_Encoding="gzip;q=0, x-gzip"),
    )
    packed = serve.get(f"{path}/big", "", Accept_Encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip" and len(packed.body) < 10_000
    assert gzip.decompress(packed.body) == plain.body
    assert all("content-encoding" not in answer.headers for answer in (plain, small, disliked))


# -- YAML text ---------------------------------------------------------------------------------------------

TEXTS = [
    ({"b": 1, "a": "x"}, "a: x\nb: 1\n"),
    ({"a": ["x", {"b": None}], "e": [], "m": {}}, "a:\n- x\n- b: null\ne: []\nm: {}\n"),
    ({"a": "true", "b": "y", "c": "10", "d": "1.5", "e": "null", "f": "~"}, None),
    ({"a": "12:30", "b": "2020-01-01"}, 'a: "12:30"\nb: "2020-01-01"\n'),
    ({"a": "one\ntwo\n"}, "a: |\n  one\n  two\n"),
    ({"a": ""}, 'a: ""\n'),
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_yaml_text(value, text):
    dumped = yamltext.dump(value).decode()
    assert yaml.safe_load(dumped) == value
    if text is None:
        assert dumped == "".join(f'{key}: "{item}"\n' for key, item in value.items())
    else:
        assert dumped == text


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abcyn~:- ", min_size=1, max_size=8), VALUES, max_size=5))
def test_what_is_written_as_yaml_is_read_back(value):
    from knarr.meta import goyaml

    document = goyaml.load(yamltext.dump(value))
    assert document.value == value and document.duplicates == []
