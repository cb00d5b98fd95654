"""FlowSchema and PriorityLevelConfiguration of flowcontrol.apiserver.k8s.io/v1: defaults, rules, tables."""

import pytest

from knarr.api.flowcontrol.prioritylevelconfiguration import entropy_bits

from .kindcases import LABEL, Resource, without_metadata

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS, LEVELS = Resource("flowschemas", GROUP), Resource("prioritylevelconfigurations", GROUP)
LEVEL = {"priorityLevelConfiguration": {"name": "p"}}
USER = {"kind": "User", "user": {"name": "a"}}
PODS = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["pods"], "namespaces": ["*"]}


def test_a_flow_schema_has_a_precedence():
    stored = without_metadata(SCHEMAS.created({"spec": LEVEL}))
    assert stored["spec"] == {**LEVEL, "matchingPrecedence": 1000}


def schema(**spec):
    return {"spec": {**LEVEL, **spec}}


def ruled(**rule):
    return schema(rules=[{"subjects": [USER], "resourceRules": [PODS], **rule}])


AT = "spec.rules[0]"
SCHEMA_ERRORS = [
    pytest.param(ruled(), [], id="good"),
    pytest.param(
        {"spec": {}},
        ["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"],
        id="no level",
    ),
    pytest.param(
        schema(matchingPrecedence=10001),
        ["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"],
        id="precedence",
    ),
    pytest.param(
        schema(distinguisherMethod={"type": "X"}),
        ['spec.distinguisherMethod.type: Unsupported value: "X": supported values: "ByNamespace", "ByUser"'],
        id="distinguisher",
    ),
    pytest.param(
        ruled(subjects=[], resourceRules=[]),
        [
            f"{AT}.subjects: Required value: subjects must contain at least one value",
            f"{AT}: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
        ],
        id="a rule of nothing",
    ),
    pytest.param(
        ruled(
            subjects=[
                {"kind": "Robot"},
                {"kind": "User"},
                {"kind": "Group", "group": {"name": "g"}, "user": {"name": "a"}},
            ]
        ),
        [
            f'{AT}.subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
            f"{AT}.subjects[1].user: Required value: user is required when subject kind is 'User'",
            f"{AT}.subjects[2].user: Forbidden: user is forbidden when subject kind is not 'User'",
        ],
        id="subjects",
    ),
    pytest.param(
        ruled(
            resourceRules=[
                {"verbs": ["*", "get"], "apiGroups": [], "resources": ["pods"], "namespaces": ["A_"]}
            ]
        ),
        [
            f'{AT}.resourceRules[0].verbs: Invalid value: ["*","get"]: if \'*\' is present, must not specify other verbs',
            f"{AT}.resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group",
            f"{AT}.resourceRules[0].namespaces[0]: Invalid value: \"A_\": each member of this list must be '*' or a DNS-1123"
            f" label; {LABEL}",
        ],
        id="resources",
    ),
    pytest.param(
        ruled(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["healthz", "/a/*/b", "/a//"]}]),
        [
            f'{AT}.nonResourceRules[0].nonResourceURLs[0]: Invalid value: "healthz": must start with slash',
            f'{AT}.nonResourceRules[0].nonResourceURLs[1]: Invalid value: "/a/*/b": wildcard can only do suffix matching',
            f'{AT}.nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/a//": must not contain double slash',
        ],
        id="paths",
    ),
]


@pytest.mark.parametrize(("body", "errors"), SCHEMA_ERRORS)
def test_errors_of_flow_schemas(body, errors):
    assert SCHEMAS.errors(body) == errors


def limited(**limits):
    return {"spec": {"type": "Limited", "limited": limits}}


def queued(**queuing):
    return limited(limitResponse={"type": "Queue", "queuing": queuing})


LEVELS_CREATED = [
    pytest.param(
        {"type": "Exempt", "exempt": {}},
        {"nominalConcurrencyShares": 0, "lendablePercent": 0},
        "exempt",
        id="exempt",
    ),
    pytest.param(
        queued()["spec"],
        {
            "nominalConcurrencyShares": 30,
            "lendablePercent": 0,
            "limitResponse": {
                "type": "Queue",
                "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50},
            },
        },
        "limited",
        id="queued",
    ),
]


@pytest.mark.parametrize(("spec", "want", "part"), LEVELS_CREATED)
def test_priority_levels_are_filled(spec, want, part):
    assert LEVELS.created({"spec": spec})["spec"][part] == want


RESPONSE = "spec.limited.limitResponse"
LEVEL_ERRORS = [
    pytest.param(limited(limitResponse={"type": "Reject"}), [], id="good"),
    pytest.param(
        {"spec": {"type": "Limited"}},
        ["spec.limited: Required value: must not be empty when type is Limited"],
        id="no limits",
    ),
    pytest.param(
        {"spec": {"type": "X"}},
        ['spec.type: Unsupported value: "X": supported values: "Exempt", "Limited"'],
        id="type",
    ),
    pytest.param(
        queued(queues=4, handSize=8),
        [f"{RESPONSE}.queuing.handSize: Invalid value: 8: should not be greater than queues (4)"],
        id="hand",
    ),
    pytest.param(
        limited(limitResponse={"type": "Reject", "queuing": {}}),
        [f"{RESPONSE}.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited"],
        id="queues of those rejected",
    ),
    pytest.param(
        limited(nominalConcurrencyShares=-1, lendablePercent=101, limitResponse={"type": "Drop"}),
        [
            "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
            f'{RESPONSE}.type: Unsupported value: "Drop": supported values: "Queue", "Reject"',
            "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
        ],
        id="limits",
    ),
]


@pytest.mark.parametrize(("body", "errors"), LEVEL_ERRORS)
def test_errors_of_priority_levels(body, errors):
    assert LEVELS.errors(body) == errors


def test_rows():
    assert SCHEMAS.row_of(ruled()) == ["a", "p", 1000, "<none>", "120m", "?"]
    assert LEVELS.row_of(queued()) == ["a", "Limited", 30, 64, 8, 50, "120m"]
    assert LEVELS.row_of({"spec": {"type": "Exempt"}})[:2] == ["a", "Exempt"]


def test_hands_of_many_queues_have_too_much_entropy():
    assert entropy_bits(64, 8) < 60 < entropy_bits(1024, 8)
