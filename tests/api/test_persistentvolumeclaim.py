"""PersistentVolumeClaim: defaults, rules, updates, table."""

import pytest

from .kindcases import SUBDOMAIN, Resource, without_metadata

CLAIMS = Resource("persistentvolumeclaims")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending"},
        },
        id="persistentvolumeclaim",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "dataSource": {"kind": "", "name": ""},
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending"},
        },
        id="pvc data source",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "dataSource": {"apiGroup": "example.com", "kind": "Thing", "name": "n"},
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending"},
        },
        id="pvc data source unknown kind",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "dataSource": {"kind": "PersistentVolumeClaim", "name": "b"},
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "volumeMode": "Filesystem",
                "dataSource": {"apiGroup": None, "kind": "PersistentVolumeClaim", "name": "b"},
                "dataSourceRef": {"apiGroup": None, "kind": "PersistentVolumeClaim", "name": "b"},
            },
            "status": {"phase": "Pending"},
        },
        id="source and reference",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "dataSourceRef": {"apiGroup": "x.example.com", "kind": "K", "name": "b"},
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "volumeMode": "Filesystem",
                "dataSource": {"apiGroup": "x.example.com", "kind": "K", "name": "b"},
                "dataSourceRef": {"apiGroup": "x.example.com", "kind": "K", "name": "b"},
            },
            "status": {"phase": "Pending"},
        },
        id="reference to anything",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CLAIMS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {}},
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ],
        id="pvc empty",
    ),
    pytest.param(
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {}}},
        ["spec.resources[storage]: Required value"],
        id="pvc no storage",
    ),
    pytest.param(
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0"}}}},
        ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
        id="pvc zero storage",
    ),
    pytest.param(
        {"spec": {"accessModes": ["Wild"], "resources": {"requests": {"storage": "1Gi"}}}},
        [
            'spec.accessModes: Unsupported value: "Wild": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
        ],
        id="pvc access mode",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOncePod", "ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        },
        ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
        id="pvc rwop mix",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "Bad Class",
            }
        },
        [f'spec.storageClassName: Invalid value: "Bad Class": {SUBDOMAIN}'],
        id="pvc class",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeMode": "Tape",
            }
        },
        ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'],
        id="pvc mode",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "dataSource": {"kind": "PersistentVolumeClaim", "name": "a"},
                "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "b"},
            }
        },
        ["spec: Invalid value: {}: must match dataSourceRef"],
        id="pvc data source mismatch",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "selector": {"matchExpressions": [{"key": "a", "operator": "X"}]},
            }
        },
        ['spec.selector.matchExpressions[0].operator: Invalid value: "X": not a valid selector operator'],
        id="pvc selector",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "dataSourceRef": {"kind": "VolumeSnapshot", "name": "s"},
            }
        },
        [
            "spec.dataSource: Invalid value: \"VolumeSnapshot\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            "spec.dataSourceRef: Invalid value: \"VolumeSnapshot\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        ],
        id="snapshot of no group",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CLAIMS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "2Gi"}},
                "storageClassName": "none",
            }
        },
        [
            'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n@@ -6,7 +6,7 @@\n  "Resources": {\n   "Limits": null,\n   "Requests": {\n-   "storage": "1Gi"\n+   "storage": "2Gi"\n   }\n  },\n  "VolumeName": "",\n'
        ],
        id="size of an unbound claim",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "x",
            }
        },
        [
            'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n@@ -10,7 +10,7 @@\n   }\n  },\n  "VolumeName": "",\n- "StorageClassName": "none",\n+ "StorageClassName": "x",\n  "VolumeMode": "Filesystem",\n  "DataSource": null,\n  "DataSourceRef": null,\n'
        ],
        id="class",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "volumeName": "v",
            }
        },
        [],
        id="volume name, once",
    ),
    pytest.param(
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        [],
        id="class of a claim without one",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert CLAIMS.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "100m"}},
                "storageClassName": "none",
            }
        },
        ['spec.resources.requests[storage]: fractional byte value "100m" is invalid, must be an integer'],
        id="fraction",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert CLAIMS.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        ["a", "Pending", "", "", "", "none", "<unset>", "120m", "Filesystem"],
        id="pending",
    ),
    pytest.param(
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
                "volumeName": "v",
            },
            "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"]},
        },
        ["a", "Bound", "v", "2Gi", "RWO", "none", "<unset>", "120m", "Filesystem"],
        id="bound",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CLAIMS.row_of(body) == cells


def test_a_bound_claim_may_grow_and_not_shrink_below_what_it_has():
    claim = {"accessModes": ["ReadWriteOnce"], "volumeName": "v"}
    old = CLAIMS.created({"spec": {**claim, "resources": {"requests": {"storage": "2Gi"}}}})
    old["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}

    def errors(size):
        new = CLAIMS.defaulted({"spec": {**claim, "resources": {"requests": {"storage": size}}}})
        CLAIMS.kind.prepare_for_update(new, old)
        return [str(error) for error in CLAIMS.kind.validate_update(new, old)]

    assert errors("3Gi") == []
    assert errors("1500Mi") == []
    assert errors("1Gi") == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]


def test_status_holds_storage_only():
    status = {"capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert CLAIMS.update_errors({"spec": spec}, {"spec": spec, "status": status}, "status") == [
        "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
        'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"',
    ]
