"""The documents of paths above any group's version: the lists of groups, one group, the version, the OpenID documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.apiserver.openapi import paths

Object = dict[str, Any]


class Top(NamedTuple):
    """One such path; `answer` is a definition, "" a text."""

    tag: str
    description: str
    operation_id: str
    answer: str
    media_types: tuple[str, ...] = paths.SERVED


JSON = ("application/json",)
TOPS = {
    "api": Top("core", "get available API versions", "getCoreAPIVersions", paths.META + "APIVersions"),
    "apis": Top("apis", "get available API versions", "getAPIVersions", paths.META + "APIGroupList"),
    "version": Top(
        "version",
        "get the version of this server",
        "getCodeVersion",
        "io.k8s.apimachinery.pkg.version.Info",
        JSON,
    ),
    ".well-known/openid-configuration": Top(
        "WellKnown",
        "get the OpenID configuration of the issuer of service account tokens",
        "getServiceAccountIssuerOpenIDConfiguration",
        "",
        JSON,
    ),
    "openid/v1/jwks": Top(
        "openid",
        "get the public keys that verify service account tokens",
        "getServiceAccountIssuerOpenIDKeyset",
        "",
        ("application/jwk-set+json",),
    ),
}


def names(groups: Iterable[str]) -> list[str]:
    """Of all these documents, the groups' included."""
    return [*TOPS, *(f"apis/{group}" for group in groups if group)]


def item_of(name: str) -> tuple[str, Object]:
    """(path, item) of one."""
    top = TOPS.get(name) or _group(name.removeprefix("apis/"))
    if top.answer:
        responses = paths._responses(top.answer, ("200",), top.media_types)
    else:
        text = {"schema": {"type": "string"}}
        content = dict.fromkeys(top.media_types, text)
        responses = {"200": {"description": "OK", "content": content}, "401": paths._UNAUTHORIZED}
    operation = {
        "tags": [top.tag],
        "description": top.description,
        "operationId": top.operation_id,
        "responses": responses,
    }
    return f"/{name}/", {"get": operation}


def _group(group: str) -> Top:
    name = paths.group_id(group)
    tag = name[:1].lower() + name[1:]
    return Top(tag, "get information of a group", f"get{name}APIGroup", paths.META + "APIGroup")
