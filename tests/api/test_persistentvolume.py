"""PersistentVolume: defaults, rules, updates, table."""

import copy

import pytest

from .kindcases import CREATED_AT, SUBDOMAIN, Resource, without_metadata

PERSISTENTVOLUMES = Resource("persistentvolumes")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
                "storageClassName": "none-create-cluster-scoped",
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": "/x", "type": ""},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "none-create-cluster-scoped",
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending", "lastPhaseTransitionTime": "2026-01-02T03:04:05Z"},
        },
        id="persistentvolume",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "persistentVolumeReclaimPolicy": "Recycle",
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": "/x", "type": ""},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Recycle",
                "storageClassName": "none",
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending", "lastPhaseTransitionTime": "2026-01-02T03:04:05Z"},
        },
        id="pv recycle warning",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(PERSISTENTVOLUMES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {}},
        [
            "spec.accessModes: Required value",
            "spec.capacity: Required value",
            'spec.capacity: Unsupported value: null: supported values: "storage"',
            "spec: Required value: must specify a volume type",
        ],
        id="pv empty",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
            }
        },
        ["spec: Required value: must specify a volume type"],
        id="pv no source",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "local": {"path": "/y"},
            }
        },
        ["spec.local: Forbidden: may not specify more than 1 volume type"],
        id="pv two sources",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"cpu": "1"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        ['spec.capacity: Unsupported value: {"cpu":"1"}: supported values: "storage"'],
        id="pv capacity cpu",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1", "cpu": "2"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
            }
        },
        ['spec.capacity: Unsupported value: {"cpu":"2","storage":"1"}: supported values: "storage"'],
        id="pv capacity of two",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "-1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        [
            "spec.capacity[storage]: Invalid value: -1073741824: must be a valid resource quantity",
            'spec.capacity[storage]: Invalid value: "-1Gi": must be greater than zero',
        ],
        id="pv negative capacity",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["Wild"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        [
            'spec.accessModes: Unsupported value: "Wild": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
        ],
        id="pv access modes",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": [],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        ["spec.accessModes: Required value"],
        id="pv no access modes",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce", "ReadWriteOncePod"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
        id="pv rwop mix",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "persistentVolumeReclaimPolicy": "Burn",
            }
        },
        [
            'spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Recycle", "Retain"'
        ],
        id="pv reclaim",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/"},
                "persistentVolumeReclaimPolicy": "Recycle",
            }
        },
        ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
        id="pv root recycle",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "volumeMode": "Tape",
            }
        },
        ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'],
        id="pv volume mode",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "local": {"path": "/y"},
            }
        },
        ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
        id="pv local no affinity",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/a/../b"},
            }
        },
        ["spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
        id="pv host path dots",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "Bad Class",
                "hostPath": {"path": "/x"},
            }
        },
        [f'spec.storageClassName: Invalid value: "Bad Class": {SUBDOMAIN}'],
        id="pv bad class",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "csi": {"driver": "", "volumeHandle": ""},
            }
        },
        ["spec.csi.driver: Required value", "spec.csi.volumeHandle: Required value"],
        id="pv csi empty",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "nfs": {"server": "", "path": "rel"},
            }
        },
        ["spec.nfs.server: Required value", 'spec.nfs.path: Invalid value: "rel": must be an absolute path'],
        id="pv nfs",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x", "type": "Odd"},
            }
        },
        [
            'spec.hostPath.type: Unsupported value: "Odd": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
        ],
        id="host path type",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "iscsi": {"targetPortal": "", "iqn": "odd", "lun": 256, "chapAuthSession": True},
            }
        },
        [
            "spec.iscsi.targetPortal: Required value",
            'spec.iscsi.iqn: Invalid value: "odd": must be valid format',
            "spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
            "spec.iscsi.secretRef: Required value",
        ],
        id="iscsi",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "fc": {"targetWWNs": ["a"], "wwids": ["b"]},
            }
        },
        [
            'spec.fc.targetWWNs: Invalid value: ["a"]: targetWWNs and wwids can not be specified simultaneously',
            "spec.fc.lun: Required value: lun is required if targetWWNs is specified",
        ],
        id="fc",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "azureDisk": {"diskName": "d", "diskURI": "x", "kind": "Managed"},
            }
        },
        [
            'spec.azureDisk.diskURI: Unsupported value: "x": supported values: "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"'
        ],
        id="azure disk",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "gcePersistentDisk": {"pdName": "", "partition": 300},
            }
        },
        [
            "spec.persistentDisk.pdName: Required value",
            "spec.persistentDisk.partition: Invalid value: 300: must be between 0 and 255, inclusive",
        ],
        id="disk partition",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "flexVolume": {"driver": "d", "options": {"kubernetes.io/x": "y"}},
            }
        },
        [
            'spec.flexVolume.options[kubernetes.io/x]: Invalid value: "kubernetes.io/x": kubernetes.io and k8s.io namespaces are reserved'
        ],
        id="flex options",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "local": {"path": "/y"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": []}},
            }
        },
        [
            "spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"
        ],
        id="affinity without terms",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "volumeAttributesClassName": "",
            }
        },
        [
            "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
            "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
        ],
        id="attributes class needs csi",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "csi": {
                    "driver": "d.example.com",
                    "volumeHandle": "h",
                    "nodePublishSecretRef": {"name": "S"},
                },
            }
        },
        [
            f'spec.csi.nodePublishSecretRef.name: Invalid value: "S": {SUBDOMAIN}',
            "spec.csi.nodePublishSecretRef.namespace: Required value",
        ],
        id="csi secrets",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert PERSISTENTVOLUMES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/y"},
            }
        },
        [
            'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -2,7 +2,7 @@\n  "GCEPersistentDisk": null,\n  "AWSElasticBlockStore": null,\n  "HostPath": {\n-  "Path": "/x",\n+  "Path": "/y",\n   "Type": ""\n  },\n  "Glusterfs": null,\n'
        ],
        id="source",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "volumeMode": "Block",
            }
        },
        ['volumeMode: Invalid value: "Block": field is immutable'],
        id="mode",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "csi": {"driver": "d.example.com", "volumeHandle": "h"},
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "csi": {
                    "driver": "d.example.com",
                    "volumeHandle": "h",
                    "controllerExpandSecretRef": {"name": "s", "namespace": "n"},
                },
            }
        },
        [],
        id="expansion secret may come",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}
                        ]
                    }
                },
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}
                        ]
                    }
                },
            }
        },
        [],
        id="labels may get their final names",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
                    }
                },
            }
        },
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            }
        },
        ["nodeAffinity: Invalid value: null: field is immutable, except for updating from beta label to GA"],
        id="affinity",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert PERSISTENTVOLUMES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "persistentVolumeReclaimPolicy": "Recycle",
            }
        },
        [
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
        ],
        id="pv recycle warning",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "rbd": {"monitors": ["m"], "image": "i"},
            }
        },
        ["spec.rbd: deprecated in v1.28, non-functional in v1.31+"],
        id="gone",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}
                        ]
                    }
                },
            }
        },
        [
            'spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead'
        ],
        id="old label",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert PERSISTENTVOLUMES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
                "claimRef": {"namespace": "a", "name": "b"},
            }
        },
        ["a", "1Gi", "RWO", "Retain", "Pending", "a/b", "none", "<unset>", "", "120m", "Filesystem"],
        id="bound by name",
    ),
    pytest.param(
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany"],
                "storageClassName": "none",
                "hostPath": {"path": "/x"},
            },
            "status": {"phase": "Failed", "reason": "r"},
        },
        ["a", "1Gi", "RWO,ROX,RWX", "Retain", "Failed", "", "none", "<unset>", "r", "120m", "Filesystem"],
        id="modes",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert PERSISTENTVOLUMES.row_of(body) == cells


def test_a_change_of_phase_has_a_time():
    before = PERSISTENTVOLUMES.created({"spec": {"hostPath": {"path": "/x"}}})
    after = copy.deepcopy(before)
    after["metadata"]["managedFields"] = [{"time": CREATED_AT}, {"time": "2026-01-02T05:04:05Z"}]
    PERSISTENTVOLUMES.kind.prepare_for_status_update(after, before)
    assert after["status"]["lastPhaseTransitionTime"] == CREATED_AT
    after["status"]["phase"] = "Bound"
    PERSISTENTVOLUMES.kind.prepare_for_status_update(after, before)
    assert after["status"]["lastPhaseTransitionTime"] == "2026-01-02T05:04:05Z"
