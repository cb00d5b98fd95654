"""Secret: defaults, rules, updates, table."""

import pytest

from .kindcases import CONFIG_KEY, Resource, without_metadata

SECRETS = Resource("secrets")

#: what a client sends, what is stored
CREATED = [
    pytest.param({}, {"type": "Opaque"}, id="secret"),
    pytest.param(
        {"stringData": {"user": "me", "pass": "word"}, "data": {"user": "eW91"}},
        {"data": {"pass": "d29yZA==", "user": "bWU="}, "type": "Opaque"},
        id="stringdata",
    ),
    pytest.param(
        {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}},
        {"data": {".dockerconfigjson": "e30="}, "type": "kubernetes.io/dockerconfigjson"},
        id="dockerconfigjson ok",
    ),
    pytest.param({"type": "example.com/anything"}, {"type": "example.com/anything"}, id="custom type"),
    pytest.param(
        {"type": "bootstrap.kubernetes.io/token"},
        {"type": "bootstrap.kubernetes.io/token"},
        id="bootstrap token type",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(SECRETS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param({"data": {"a/b": "eA=="}}, [f'data[a/b]: Invalid value: "a/b": {CONFIG_KEY}'], id="bad key"),
    pytest.param(
        {"type": "kubernetes.io/tls"},
        ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
        id="tls missing",
    ),
    pytest.param(
        {"type": "kubernetes.io/basic-auth"},
        ["data[username]: Required value", "data[password]: Required value"],
        id="basic auth missing",
    ),
    pytest.param(
        {"type": "kubernetes.io/ssh-auth"}, ["data[ssh-privatekey]: Required value"], id="ssh missing"
    ),
    pytest.param(
        {"type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": "nope"}},
        [
            "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": invalid character 'o' in literal null (expecting 'u')"
        ],
        id="dockercfg bad",
    ),
    pytest.param(
        {"type": "kubernetes.io/dockerconfigjson"},
        ["data[.dockerconfigjson]: Required value"],
        id="dockerconfigjson missing",
    ),
    pytest.param(
        {"type": "kubernetes.io/service-account-token"},
        ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        id="sa token no annotation",
    ),
    pytest.param(
        {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "[1]"}},
        [
            'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}'
        ],
        id="json list",
    ),
    pytest.param(
        {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}},
        ["data[ssh-privatekey]: Required value"],
        id="empty ssh key",
    ),
    pytest.param(
        {"type": "kubernetes.io/basic-auth", "stringData": {"password": "x"}},
        [],
        id="basic auth, one is enough",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert SECRETS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param({"type": "a/b"}, {}, ['type: Invalid value: "Opaque": field is immutable'], id="type"),
    pytest.param(
        {"immutable": True, "data": {"a": "Yg=="}},
        {"immutable": True, "stringData": {"a": "c"}},
        ["data: Forbidden: field is immutable when `immutable` is set"],
        id="immutable data",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert SECRETS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"data": {"a": "MQ=="}}, ["a", "Opaque", 1, "120m"], id="data"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert SECRETS.row_of(body) == cells
