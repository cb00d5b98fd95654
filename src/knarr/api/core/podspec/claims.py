"""Claims of dynamic resources that a pod names."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, forbidden, invalid, required

Spec = dict[str, Any]


def claim_names(spec: Spec) -> set[str]:
    return {claim["name"] for claim in spec.get("resourceClaims", ()) if claim.get("name")}


def validate_resource_claims(spec: Spec, base: str, is_mirror: bool, errors: Errors) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(spec.get("resourceClaims", ())):
        if is_mirror:
            errors.append(forbidden("", "static pods do not support resource claims"))
            continue
        path = f"{base}[{index}]"
        name, of, template = (
            claim.get("name", ""),
            claim.get("resourceClaimName"),
            claim.get("resourceClaimTemplateName"),
        )
        if not name:
            errors.append(required(f"{path}.name"))
        elif name in seen:
            errors.append(duplicate(f"{path}.name", name))
        else:
            add(errors, f"{path}.name", name, names.is_dns1123_label(name))
            seen.add(name)
        if (of is None) == (template is None):
            shown = {"Name": name, "ResourceClaimName": of, "ResourceClaimTemplateName": template}
            message = (
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
                if of is None
                else "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
            errors.append(invalid(path, shown, message))
        if of is not None:
            add(errors, f"{path}.resourceClaimName", of, names.is_dns1123_subdomain(of))
        if template is not None:
            add(errors, f"{path}.resourceClaimTemplateName", template, names.is_dns1123_subdomain(template))
