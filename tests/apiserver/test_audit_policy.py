"""Which requests are recorded, and what is said of a policy or a setting that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.audit import policy
from knarr.apiserver.audit.event import LEVEL_NAMES, as_json, source_ips, without_managed_fields
from knarr.apiserver.audit.legacy import line
from knarr.apiserver.audit.options import (
    AuditError,
    AuditOptions,
    Batching,
    LogOptions,
    Truncating,
    WebhookOptions,
)
from knarr.registry.context import Request, UserInfo

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"


def request(what: str, user: str = "jane", groups: tuple[str, ...] = ()) -> tuple[Request, str]:
    """`get pods/log.apps ns/name`, or `get /path`."""
    verb, target, *place = what.split()
    who = UserInfo(user, groups=groups)
    if target.startswith("/"):
        return Request(verb, path=target, user=who), target
    resource, _, group = target.partition(".")
    resource, _, subresource = resource.partition("/")
    namespace, _, name = (place or ["/"])[0].partition("/")
    return Request(verb, "", group, "v1", resource, subresource, namespace, name, user=who), "/apis/..."


def level(rules: str, what: str, **who) -> str:
    return LEVEL_NAMES[policy.parse(f"{HEAD}rules:\n{rules}".encode()).evaluate(*request(what, **who)).level]


@pytest.mark.parametrize(
    ("rule", "matching", "others"),
    [
        ("users: [jane]", ["get pods ns/a", "get /healthz"], []),
        ("users: [joe]", [], ["get pods ns/a"]),
        ("verbs: [get]", ["get pods ns/a", "get /healthz"], ["list pods ns/"]),
        ("namespaces: [ns]", ["get pods ns/a"], ["get pods other/a", "get nodes", "get /healthz"]),
        ('namespaces: [""]', ["get nodes /a"], ["get pods ns/a"]),
        ("resources: [{group: apps}]", ["get deployments.apps ns/a"], ["get pods ns/a", "get /x"]),
        ("resources: [{resources: [pods]}]", ["get pods ns/a"], ["get pods/log ns/a", "get x.apps ns/a"]),
        ("resources: [{resources: [pods/log]}]", ["get pods/log ns/a"], ["get pods ns/a"]),
        ('resources: [{resources: ["pods/*"]}]', ["get pods/log ns/a", "get pods ns/a"], ["get x/log ns/a"]),
        ('resources: [{resources: ["*/log"]}]', ["get pods/log ns/a"], ["get pods ns/a"]),
        ('resources: [{resources: ["*"]}]', ["get pods ns/a", "get pods/log ns/a"], ["get x.apps ns/a"]),
        (
            "resources: [{resources: [pods], resourceNames: [a]}]",
            ["get pods ns/a"],
            ["get pods ns/b", "list pods ns/"],
        ),
        ("nonResourceURLs: [/healthz]", ["get /healthz"], ["get /healthz/ping", "get pods ns/a"]),
        ('nonResourceURLs: ["/healthz*"]', ["get /healthz", "get /healthz/ping"], ["get /livez"]),
        ('nonResourceURLs: ["*"]', ["get /anything"], ["get pods ns/a"]),
    ],
)
def test_rules(rule: str, matching: list[str], others: list[str]):
    for what in matching:
        assert level(f"- level: Metadata\n  {rule}\n", what) == "Metadata", what
    for what in others:
        assert level(f"- level: Metadata\n  {rule}\n", what) == "None", what


def test_groups_and_the_first_rule_that_matches():
    rules = "- level: None\n  userGroups: [a, b]\n- level: Request\n"
    assert level(rules, "get pods ns/a", groups=("b",)) == "None"
    assert level(rules, "get pods ns/a", groups=("c",)) == "Request"


def test_stages_and_managed_fields_of_the_policy_and_of_its_rules():
    text = """
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: Metadata, verbs: [get], omitStages: [Panic], omitManagedFields: false}
- {level: Request}
"""
    found = policy.parse((HEAD + text).encode())
    get, other = (found.evaluate(*request(f"{verb} pods ns/a")) for verb in ("get", "list"))
    assert get == (policy.METADATA, {"RequestReceived", "Panic"}, False)
    assert other == (policy.REQUEST, {"RequestReceived"}, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: []\n", "loaded illegal policy with 0 rules"),
        ("rules: [{}]\n", "rules[0].level: Required value"),
        (
            "rules: [{level: Loud}]\n",
            'rules[0].level: Unsupported value: "Loud": supported values: "None", "Metadata", "Request", "RequestResponse"',
        ),
        (
            "rules: [{level: None, nonResourceURLs: [x, '/a*b']}]\n",
            "[rules[0].nonResourceURLs[0]: Invalid value: \"x\": non-resource URL rules must begin with a '/' character, "
            "rules[0].nonResourceURLs[1]: Invalid value: \"/a*b\": non-resource URL wildcards '*' must be the final"
            " character of the rule]",
        ),
        (
            "rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]\n",
            'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and'
            " non-resource URLs",
        ),
        (
            "rules: [{level: None, resources: [{resourceNames: [a]}]}]\n",
            'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource',
        ),
        (
            "rules: [{level: None, omitStages: [Never]}]\n",
            'rules[0].omitStages[0]: Invalid value: "Never": allowed stages are'
            " RequestReceived,ResponseStarted,ResponseComplete,Panic",
        ),
        (
            "rules: [{level: None, user: [a]}]\n",
            'failed decoding: strict decoding error: unknown field "rules[0].user"',
        ),
        (
            "rules: [{level: 1}]\n",
            "failed decoding: strict decoding error: cannot unmarshal number into Go struct field rules[0].level of type"
            " string",
        ),
    ],
)
def test_what_is_wrong_with_a_policy(text: str, message: str):
    with pytest.raises(AuditError) as error:
        policy.parse((HEAD + text).encode())
    assert str(error.value) == message


def test_group_names_of_resources():
    with pytest.raises(AuditError, match='rules\\[0\\].resources.group: Invalid value: "apps/v1"'):
        policy.parse(f"{HEAD}rules: [{{level: None, resources: [{{group: apps/v1}}]}}]\n".encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Policy\n", "Object 'apiVersion' is missing in"),
        ("apiVersion: audit.k8s.io/v1\n", "Object 'Kind' is missing in"),
        ("apiVersion: audit.k8s.io/v1beta1\nkind: Policy\n", 'no kind "Policy" is registered for version'),
        ("- a\n", "couldn't get version/kind"),
        ("a: [\n", "failed decoding: yaml: "),
    ],
)
def test_what_is_no_policy(text: str, message: str):
    with pytest.raises(AuditError) as error:
        policy.parse(text.encode())
    assert message in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(AuditError) as error:
        policy.load(f"{tmp_path}/none")
    path = f"{tmp_path}/none"
    assert str(error.value) == (
        f'loading audit policy file: failed to read file path "{path}": open {path}: no such file or directory'
    )
    bad = tmp_path / "bad"
    bad.write_text(HEAD)
    with pytest.raises(AuditError) as error:
        policy.load(str(bad))
    assert str(error.value) == (
        f"loading audit policy file: loaded illegal policy with 0 rules: from file {bad}"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            AuditOptions(log=LogOptions("-", mode="fast")),
            'invalid audit log mode fast, allowed modes are "batch,blocking,blocking-strict"',
        ),
        (
            AuditOptions(log=LogOptions("-", format="xml")),
            'invalid audit log format xml, allowed formats are "legacy,json"',
        ),
        (
            AuditOptions(log=LogOptions("-", mode="batch", batching=Batching(buffer_size=0))),
            "invalid audit batch log buffer size 0, must be a positive number",
        ),
        (
            AuditOptions(webhook=WebhookOptions("f", batching=Batching(qps=-1))),
            "invalid audit batch webhook throttle QPS -1, must be a positive number",
        ),
        (
            AuditOptions(log=LogOptions("-", truncating=Truncating(max_batch_bytes=1))),
            "invalid audit truncate log max batch size 1, must be greater than max event size (102400)",
        ),
        (
            AuditOptions(log=LogOptions("-", version="audit.k8s.io/v1beta1", max_age=-1)),
            '[invalid group version, allowed versions are ["audit.k8s.io/v1"],'
            " --audit-log-maxage -1 can't be a negative number]",
        ),
    ],
)
def test_settings_that_cannot_be(options: AuditOptions, message: str):
    with pytest.raises(AuditError) as error:
        options.check()
    assert str(error.value) == message


def test_settings_of_backends_that_are_not_used_do_not_matter():
    AuditOptions(log=LogOptions("", mode="fast"), webhook=WebhookOptions("", mode="fast")).check()


@pytest.mark.parametrize(
    ("headers", "remote", "ips"),
    [
        ({}, "10.0.0.9", ["10.0.0.9"]),
        ({"x-forwarded-for": "1.1.1.1, nonsense,2.2.2.2"}, "10.0.0.9", ["1.1.1.1", "2.2.2.2", "10.0.0.9"]),
        ({"x-forwarded-for": "1.1.1.1", "x-real-ip": "1.1.1.1"}, "10.0.0.9", ["1.1.1.1", "10.0.0.9"]),
        ({"x-real-ip": "3.3.3.3"}, "10.0.0.9", ["3.3.3.3", "10.0.0.9"]),
        ({"x-forwarded-for": "1.1.1.1, 10.0.0.9"}, "10.0.0.9", ["1.1.1.1", "10.0.0.9"]),
        ({}, "", []),
    ],
)
def test_where_a_request_comes_from(headers, remote, ips):
    assert source_ips(headers, remote) == ips


def test_the_legacy_line():
    event = {
        "auditID": "id",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods",
        "verb": "list",
        "user": {"username": "jane", "groups": ["a", "b"]},
        "impersonatedUser": {"username": "joe"},
        "sourceIPs": ["1.1.1.1"],
        "userAgent": 'k"',
        "objectRef": {"resource": "pods", "namespace": "ns"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-01-02T03:04:05.600000Z",
    }
    assert line(event) == (
        '2026-01-02T03:04:05.6Z AUDIT: id="id" stage="ResponseComplete" ip="1.1.1.1" method="list" user="jane"'
        ' groups="\\"a\\",\\"b\\"" as="joe" asgroups="<lookup>" user-agent="k\\"" namespace="ns" uri="/api/v1/pods"'
        ' response="200"'
    )
    bare = {**event, "user": {}, "requestReceivedTimestamp": "2026-01-02T03:04:05.000000Z"}
    for key in ("impersonatedUser", "sourceIPs", "objectRef", "responseStatus"):
        del bare[key]
    assert line(bare) == (
        '2026-01-02T03:04:05Z AUDIT: id="id" stage="ResponseComplete" ip="<unknown>" method="list" user="<none>"'
        ' groups="<none>" as="<self>" asgroups="<lookup>" user-agent="k\\"" namespace="<none>" uri="/api/v1/pods"'
        ' response="<deferred>"'
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["metadata", "items", "kind", "rows", "x"]), json_values))
def test_managed_fields_are_left_out_of_anything(obj):
    before = repr(obj)
    without_managed_fields(obj)
    assert repr(obj) == before


def test_managed_fields_are_left_out_wherever_objects_are():
    managed = {"metadata": {"name": "a", "managedFields": [1]}}
    plain = {"metadata": {"name": "a"}}
    assert without_managed_fields(managed) == plain
    assert without_managed_fields({"items": [managed]}) == {"items": [plain]}
    rows = {"kind": "Table", "rows": [{"cells": [1], "object": managed}, {"cells": [2], "object": None}]}
    assert without_managed_fields(rows)["rows"] == [
        {"cells": [1], "object": plain},
        {"cells": [2], "object": None},
    ]


def test_patches_are_shown_as_json():
    assert as_json(b'{"a":1}') == b'{"a":1}'
    assert as_json(b'{\n "a": 1\n}\n') == b'{"a":1}'
    assert as_json(b"a: 1\n") == b'{"a":1}'
    assert as_json(b"a: [\n") is None
