"""What no cluster is without: the specs of the flow schemas and priority levels that are fixed."""

from __future__ import annotations

from typing import Any

from knarr.api import gostruct
from knarr.api.gostruct import Items, Pointer

Object = dict[str, Any]

_EVERYTHING: Object = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def _group(name: str) -> Object:
    return {"kind": "Group", "group": {"name": name}}


SCHEMAS: dict[str, Object] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{"subjects": [_group("system:masters")], **_EVERYTHING}],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [
            {
                "subjects": [_group("system:unauthenticated"), _group("system:authenticated")],
                **_EVERYTHING,
            }
        ],
    },
}
#: of exempt all but `exempt`, which is the administrator's
LEVELS: dict[str, Object] = {
    "exempt": {"type": "Exempt"},
    "catch-all": {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": 5,
            "limitResponse": {"type": "Reject"},
            "lendablePercent": 0,
        },
    },
}

_NAMED = (("name", "Name", ""),)
_ACCOUNT = (("namespace", "Namespace", ""), ("name", "Name", ""))
_SUBJECT = (
    ("kind", "Kind", ""),
    ("user", "User", Pointer(_NAMED)),
    ("group", "Group", Pointer(_NAMED)),
    ("serviceAccount", "ServiceAccount", Pointer(_ACCOUNT)),
)
_RESOURCES = (
    ("verbs", "Verbs", None),
    ("apiGroups", "APIGroups", None),
    ("resources", "Resources", None),
    ("clusterScope", "ClusterScope", False),
    ("namespaces", "Namespaces", None),
)
_PATHS = (("verbs", "Verbs", None), ("nonResourceURLs", "NonResourceURLs", None))
_RULE = (
    ("subjects", "Subjects", Items(_SUBJECT)),
    ("resourceRules", "ResourceRules", Items(_RESOURCES)),
    ("nonResourceRules", "NonResourceRules", Items(_PATHS)),
)
SCHEMA_SPEC: gostruct.Shape = (
    ("priorityLevelConfiguration", "PriorityLevelConfiguration", _NAMED),
    ("matchingPrecedence", "MatchingPrecedence", 0),
    ("distinguisherMethod", "DistinguisherMethod", Pointer((("type", "Type", ""),))),
    ("rules", "Rules", Items(_RULE)),
)
_QUEUING = (("queues", "Queues", 0), ("handSize", "HandSize", 0), ("queueLengthLimit", "QueueLengthLimit", 0))
_LIMITED = (
    ("nominalConcurrencyShares", "NominalConcurrencyShares", 0),
    ("limitResponse", "LimitResponse", (("type", "Type", ""), ("queuing", "Queuing", Pointer(_QUEUING)))),
    ("lendablePercent", "LendablePercent", None),
    ("borrowingLimitPercent", "BorrowingLimitPercent", None),
)
_EXEMPT = (
    ("nominalConcurrencyShares", "NominalConcurrencyShares", None),
    ("lendablePercent", "LendablePercent", None),
)
LEVEL_SPEC: gostruct.Shape = (
    ("type", "Type", ""),
    ("limited", "Limited", Pointer(_LIMITED)),
    ("exempt", "Exempt", Pointer(_EXEMPT)),
)


def same(spec: Object, fixed: Object, shape: gostruct.Shape) -> bool:
    """Whether two specs are one: what is absent, null or empty is the same."""
    return gostruct.dump(spec, shape) == gostruct.dump(fixed, shape)
