"""How certificates name who signs them: `example.com/name`."""

from __future__ import annotations

from collections.abc import Callable

from knarr.api import checks
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, invalid, required, too_long
from knarr.meta.gofmt import quote

#: a domain, a slash, and what fits a path of labels
SIGNER_BYTES_MAX = (
    names.DNS1123_SUBDOMAIN_MAX + 1 + (names.DNS1123_SUBDOMAIN_MAX + 1 + names.DNS1123_LABEL_MAX)
)


def errors(path: str, name: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    domain, _, rest = name.partition("/")
    if name.count("/") != 1:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, detail)]
    found = []
    if len(domain) > names.DNS1123_SUBDOMAIN_MAX:
        found.append(too_long(path, names.DNS1123_SUBDOMAIN_MAX))
    found += _first_bad_label(path, domain, names.is_dns1123_label)
    if "." not in domain:
        found.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    found += _first_bad_label(path, rest, names.is_dns1123_subdomain)
    if len(name) > SIGNER_BYTES_MAX:
        found.append(too_long(path, SIGNER_BYTES_MAX))
    return found


def _first_bad_label(path: str, value: str, check: Callable[[str], list[str]]) -> list[FieldError]:
    for label in value.split("."):
        if messages := check(label):
            return checks.invalids(path, value, (f"validating label {quote(label)}: {m}" for m in messages))
    return []
