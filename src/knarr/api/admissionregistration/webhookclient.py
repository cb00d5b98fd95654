"""How a webhook is reached: a URL or a service, and the authority that vouches for it."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit

from knarr.meta import gourl, names
from knarr.meta.fielderrors import FieldError, invalid, required

#: where services listen that name no port
PORT = 443
FORM = "; desired format: https://host[/path]"


def url_errors(path: str, value: str) -> list[FieldError]:
    if fault := gourl.fault(value):
        return [required(path, f"url must be a valid URL: {fault}{FORM}")]
    url = urlsplit(value)
    found: list[FieldError] = []
    if url.scheme != "https":
        found.append(invalid(path, url.scheme, f"'https' is the only allowed URL scheme{FORM}"))
    if not url.netloc:
        found.append(invalid(path, url.netloc, f"host must be specified{FORM}"))
    if "@" in url.netloc:
        user = url.netloc.rpartition("@")[0].partition(":")[0]
        found.append(invalid(path, user, "user information is not permitted in the URL"))
    if url.fragment:
        found.append(invalid(path, url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        found.append(invalid(path, url.query, "query parameters are not permitted in the URL"))
    return found


def service_errors(path: str, service: dict[str, Any]) -> list[FieldError]:
    found: list[FieldError] = []
    if not service.get("name"):
        found.append(required(f"{path}.name", "service name is required"))
    if not service.get("namespace"):
        found.append(required(f"{path}.namespace", "service namespace is required"))
    port = service.get("port", 443)
    if names.is_port_number(port):
        found.append(
            invalid(f"{path}.port", port, f"port is not valid: {','.join(names.is_port_number(port))}")
        )
    if service.get("path") is not None:
        found += _service_path(f"{path}.path", service["path"])
    return found


def _service_path(path: str, value: str) -> list[FieldError]:
    if value in ("", "/"):
        return []
    found: list[FieldError] = []
    if value[0] != "/":
        found.append(invalid(path, value, "must start with a '/'"))
    # the first byte is taken for the slash even where it is none
    segments = value[1:].split("/")
    for i, segment in enumerate(segments):
        if not segment:
            if i == len(segments) - 1:
                continue
            found.append(invalid(path, value, f"segment[{i}] may not be empty"))
        else:
            found += [
                invalid(path, value, f"segment[{i}]: {message}")
                for message in names.is_dns1123_subdomain(segment)
            ]
    return found


def bundle_errors(path: str, value: str) -> list[FieldError]:
    """A bundle is one or more certificates in PEM."""
    try:
        text = base64.b64decode(value).decode("ascii", "replace")
    except ValueError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        detail = "unable to load root certificates: unable to parse bytes as PEM block"
        return [invalid(path, value, detail)]
    return []
