"""VolumeAttachment of storage.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import SUBDOMAIN, Resource, without_metadata

VOLUMEATTACHMENTS = Resource("volumeattachments", "storage.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"attacher": "a.example.com", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}},
        {
            "spec": {"attacher": "a.example.com", "source": {"persistentVolumeName": "pv"}, "nodeName": "n"},
            "status": {"attached": False},
        },
        id="volumeattachment",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(VOLUMEATTACHMENTS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"attacher": "", "nodeName": "", "source": {}}},
        [
            "spec.attacher: Required value",
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            f'spec.nodeName: Invalid value: "": {SUBDOMAIN}',
        ],
        id="empty",
    ),
    pytest.param(
        {
            "spec": {
                "attacher": "a.example.com",
                "nodeName": "n",
                "source": {
                    "persistentVolumeName": "pv",
                    "inlineVolumeSpec": {
                        "csi": {"driver": "d", "volumeHandle": "h"},
                        "accessModes": ["ReadWriteOnce"],
                    },
                },
            }
        },
        ["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
        id="both sources",
    ),
    pytest.param(
        {
            "spec": {
                "attacher": "a.example.com",
                "nodeName": "n",
                "source": {
                    "inlineVolumeSpec": {
                        "capacity": {"storage": "1Gi"},
                        "hostPath": {"path": "/x"},
                        "accessModes": ["ReadWriteOnce"],
                    }
                },
            }
        },
        [
            "spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes",
            "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes",
        ],
        id="inline capacity",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert VOLUMEATTACHMENTS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"attacher": "a.example.com", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}},
        {"spec": {"attacher": "a.example.com", "nodeName": "m", "source": {"persistentVolumeName": "pv"}}},
        [
            'spec: Invalid value: {"Attacher":"a.example.com","Source":{"PersistentVolumeName":"pv","InlineVolumeSpec":null},"NodeName":"m"}: field is immutable'
        ],
        id="spec",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert VOLUMEATTACHMENTS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"spec": {"attacher": "a.example.com", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}},
        ["a", "a.example.com", "pv", "n", False, "120m"],
        id="row",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert VOLUMEATTACHMENTS.row_of(body) == cells
