"""DNS settings and host aliases."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import addresses, names
from knarr.meta.fielderrors import invalid, not_supported, required

Spec = dict[str, Any]
_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
#: libc's limits
NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
SEARCH_CHARACTERS_MAX = 2048


def validate_dns_policy(policy: str, path: str, errors: Errors) -> None:
    if policy not in _POLICIES:
        errors.append(not_supported(path, policy, _POLICIES) if policy else required(path))


def validate_dns_config(spec: Spec, path: str, errors: Errors) -> None:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            errors.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            message = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{path}.nameservers", message))
            return
    if not config:
        return
    servers, searches = config.get("nameservers", []), config.get("searches", [])
    if len(servers) > NAMESERVERS_MAX:
        message = f"must not have more than {NAMESERVERS_MAX} nameservers"
        errors.append(invalid(f"{path}.nameservers", servers, message))
    for index, server in enumerate(servers):
        add(errors, f"{path}.nameservers[{index}]", server, addresses.is_ip(server))
    if len(searches) > SEARCHES_MAX:
        message = f"must not have more than {SEARCHES_MAX} search paths"
        errors.append(invalid(f"{path}.searches", searches, message))
    if len(" ".join(searches)) > SEARCH_CHARACTERS_MAX:
        message = f"must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        errors.append(invalid(f"{path}.searches", searches, message))
    for index, search in enumerate(searches):
        if search != ".":
            search = search.removesuffix(".")
            add(
                errors,
                f"{path}.searches[{index}]",
                search,
                names.is_dns1123_subdomain_with_underscore(search),
            )
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))


def validate_host_aliases(aliases: list[Spec], base: str, errors: Errors) -> None:
    for index, alias in enumerate(aliases):
        ip = alias.get("ip", "")
        add(errors, f"{base}[{index}].ip", ip, addresses.is_ip(ip))
        for number, hostname in enumerate(alias.get("hostnames", ())):
            add(
                errors, f"{base}[{index}].hostnames[{number}]", hostname, names.is_dns1123_subdomain(hostname)
            )
