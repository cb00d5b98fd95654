"""What a name, key, port or address may look like, in Kubernetes' words.

Each check takes the text and returns the messages of what is wrong with it, an empty list when it is good
(apimachinery's util/validation and api/validate/content, v1.36). Lengths count bytes, as Go does.
"""

from __future__ import annotations

import re

DNS1123_LABEL_MAX = 63
DNS1123_SUBDOMAIN_MAX = 253
LABEL_VALUE_MAX = 63

_DNS1123_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS1123_SUBDOMAIN = rf"{_DNS1123_LABEL}(\.{_DNS1123_LABEL})*"
_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORE_SUBDOMAIN = rf"{_UNDERSCORE_LABEL}(\.{_UNDERSCORE_LABEL})*"
_DNS1035_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = rf"\*\.{_DNS1123_SUBDOMAIN}"
_LABEL_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_LABEL_KEY})?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"

_dns1123_label = re.compile(_DNS1123_LABEL).fullmatch
_dns1123_subdomain = re.compile(_DNS1123_SUBDOMAIN).fullmatch
_underscore_subdomain = re.compile(_UNDERSCORE_SUBDOMAIN).fullmatch
_dns1035_label = re.compile(_DNS1035_LABEL).fullmatch
_label_key = re.compile(_LABEL_KEY).fullmatch
_label_value = re.compile(_LABEL_VALUE).fullmatch
#: a good label key in one look: most are
_good_label_key = re.compile(
    rf"(?:(?=[^/]{{1,253}}/){_DNS1123_SUBDOMAIN}/)?(?=[^/]{{1,63}}\Z){_LABEL_KEY}"
).fullmatch
_c_identifier = re.compile(_C_IDENTIFIER).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_http_header = re.compile(_HTTP_HEADER).fullmatch
_http_path = re.compile(_HTTP_PATH).fullmatch
_percent = re.compile(_PERCENT).fullmatch
_sysctl = re.compile(_SYSCTL).fullmatch


def byte_length(text: str) -> int:
    """How long Go says the text is."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def max_length_error(length: int) -> str:
    """The older wording; label keys and values use `max_bytes_error`."""
    return f"must be no more than {length} characters"


def max_bytes_error(length: int) -> str:
    return f"must be no more than {length} bytes"


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """The message of a pattern that was not met, with examples as Kubernetes strings them together."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {listed}regex used for validation is '{pattern}')"


def empty_error() -> str:
    return "must be non-empty"


def inclusive_range_error(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


# DNS names

_DNS1123_LABEL_ERROR = regex_error(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    _DNS1123_LABEL,
    "my-name",
    "123-abc",
)
_DNS1123_SUBDOMAIN_ERROR = regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    _DNS1123_SUBDOMAIN,
    "example.com",
)
_UNDERSCORE_SUBDOMAIN_ERROR = regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character",
    _UNDERSCORE_SUBDOMAIN,
    "example.com",
)
_DNS1035_LABEL_ERROR = regex_error(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character",
    _DNS1035_LABEL,
    "my-name",
    "abc-123",
)
_WILDCARD_ERROR = regex_error(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
    "which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)


def is_dns1123_label(value: str) -> list[str]:
    errors = []
    if byte_length(value) > DNS1123_LABEL_MAX:
        errors.append(max_length_error(DNS1123_LABEL_MAX))
    if not _dns1123_label(value):
        errors.append("must not contain dots" if _dns1123_subdomain(value) else _DNS1123_LABEL_ERROR)
    return errors


def is_dns1123_subdomain(value: str) -> list[str]:
    errors = []
    if byte_length(value) > DNS1123_SUBDOMAIN_MAX:
        errors.append(max_length_error(DNS1123_SUBDOMAIN_MAX))
    if not _dns1123_subdomain(value):
        errors.append(_DNS1123_SUBDOMAIN_ERROR)
    return errors


def is_dns1123_subdomain_with_underscore(value: str) -> list[str]:
    """DNS search paths may hold underscores."""
    errors = []
    if byte_length(value) > DNS1123_SUBDOMAIN_MAX:
        errors.append(max_length_error(DNS1123_SUBDOMAIN_MAX))
    if not _underscore_subdomain(value):
        errors.append(_UNDERSCORE_SUBDOMAIN_ERROR)
    return errors


def is_dns1035_label(value: str) -> list[str]:
    errors = []
    if byte_length(value) > DNS1123_LABEL_MAX:
        errors.append(max_length_error(DNS1123_LABEL_MAX))
    if not _dns1035_label(value):
        errors.append(_DNS1035_LABEL_ERROR)
    return errors


def is_wildcard_dns1123_subdomain(value: str) -> list[str]:
    """`*.example.com`: one star, and it leads."""
    errors = []
    if byte_length(value) > DNS1123_SUBDOMAIN_MAX:
        errors.append(max_length_error(DNS1123_SUBDOMAIN_MAX))
    if not re.fullmatch(_WILDCARD, value):
        errors.append(_WILDCARD_ERROR)
    return errors


def is_fully_qualified_name(name: str) -> list[str]:
    """A domain of at least three segments (webhook names). An empty name is the caller's Required."""
    if wrong := is_dns1123_subdomain(name):
        return [",".join(wrong)]
    if name.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []


def is_fully_qualified_domain_name(name: str) -> list[str]:
    """A domain of at least two segments, a final dot allowed."""
    name = name.removesuffix(".")
    if wrong := is_dns1123_subdomain(name):
        return [",".join(wrong)]
    if "." not in name:
        return ["should be a domain with at least two segments separated by dots"]
    for label in name.split("."):
        if wrong := is_dns1123_label(label):
            return [",".join(wrong)]
    return []


# labels, keys, identifiers

_LABEL_KEY_WORDS = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_LABEL_KEY_ERROR = regex_error(_LABEL_KEY_WORDS, _LABEL_KEY, "MyName", "my.name", "123-abc")
_LABEL_VALUE_ERROR = regex_error(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    _LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_C_IDENTIFIER_ERROR = regex_error(
    "a valid C identifier must start with alphabetic character or '_', "
    "followed by a string of alphanumeric characters or '_'",
    _C_IDENTIFIER,
    "my_name",
    "MY_NAME",
    "MyName",
)
_RELAXED_ENV_VAR_ERROR = (
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
)
_CONFIG_KEY_ERROR = regex_error(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_HTTP_HEADER_ERROR = regex_error(
    "a valid HTTP header must consist of alphanumeric characters or '-'", _HTTP_HEADER, "X-Header-Name"
)
_PERCENT_ERROR = regex_error(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)


def is_qualified_name(value: str) -> list[str]:
    """A label key: a name of at most 63 bytes, with an optional DNS prefix and `/` before it."""
    if _good_label_key(value):
        return []
    errors: list[str] = []
    prefix, slash, name = value.rpartition("/")
    if slash:
        if "/" in prefix:
            return [
                f"a valid label key {_LABEL_KEY_ERROR} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        if not prefix:
            errors.append(f"prefix part {empty_error()}")
        else:
            if byte_length(prefix) > DNS1123_SUBDOMAIN_MAX:
                errors.append(f"prefix part {max_bytes_error(DNS1123_SUBDOMAIN_MAX)}")
            if not _dns1123_subdomain(prefix):
                errors.append(f"prefix part {_DNS1123_SUBDOMAIN_ERROR}")
    if not name:
        errors.append(f"name part {empty_error()}")
    elif byte_length(name) > LABEL_VALUE_MAX:
        errors.append(f"name part {max_bytes_error(LABEL_VALUE_MAX)}")
    if not _label_key(name):
        errors.append(f"name part {_LABEL_KEY_ERROR}")
    return errors


def is_label_value(value: str) -> list[str]:
    errors = []
    if byte_length(value) > LABEL_VALUE_MAX:
        errors.append(max_bytes_error(LABEL_VALUE_MAX))
    if not _label_value(value):
        errors.append(_LABEL_VALUE_ERROR)
    return errors


def is_c_identifier(value: str) -> list[str]:
    return [] if _c_identifier(value) else [_C_IDENTIFIER_ERROR]


def is_env_var_name(value: str) -> list[str]:
    """The relaxed rule that v1.36 applies: printable ASCII without `=`."""
    errors = []
    if not value:
        errors.append(f"environment variable name {empty_error()}")
    if not value.isascii() or "=" in value or not value.isprintable():
        errors.append(_RELAXED_ENV_VAR_ERROR)
    return errors


def is_config_map_key(value: str) -> list[str]:
    """A key of a ConfigMap's or Secret's data: also a file name."""
    errors = []
    if byte_length(value) > DNS1123_SUBDOMAIN_MAX:
        errors.append(max_length_error(DNS1123_SUBDOMAIN_MAX))
    if not _config_key(value):
        errors.append(_CONFIG_KEY_ERROR)
    return errors + _no_parent_directory(value)


def _no_parent_directory(value: str) -> list[str]:
    if value == ".":
        return ["must not be '.'"]
    if value == "..":
        return ["must not be '..'"]
    if value.startswith(".."):
        return ["must not start with '..'"]
    return []


def is_http_header_name(value: str) -> list[str]:
    return [] if _http_header(value) else [_HTTP_HEADER_ERROR]


def is_http_path(value: str) -> list[str]:
    """Characters that a path of a URL may hold; also the part after a domain prefix."""
    return [] if _http_path(value) else [regex_error("Invalid path", _HTTP_PATH)]


def domain_prefixed_path_problems(value: str) -> list[tuple[str, str]]:
    """What is wrong with `example.com/path`, as pairs of the value to show and the message."""
    host, _, path = value.partition("/")
    if not host or not path:
        return [(value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [(host, message) for message in is_dns1123_subdomain(host)]
    return errors + [(path, message) for message in is_http_path(path)]


def is_domain_prefixed_path(value: str) -> list[str]:
    """Messages of `domain_prefixed_path_problems`; an empty value is the caller's Required."""
    return [message for _, message in domain_prefixed_path_problems(value)]


def is_percent(value: str) -> list[str]:
    return [] if _percent(value) else [_PERCENT_ERROR]


def is_sysctl_name(value: str) -> list[str]:
    if byte_length(value) <= DNS1123_SUBDOMAIN_MAX and _sysctl(value):
        return []
    return [f"must have at most {DNS1123_SUBDOMAIN_MAX} characters and match regex ^{_SYSCTL}$"]


# numbers


def is_in_range(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [inclusive_range_error(low, high)]


def is_port_number(value: int) -> list[str]:
    return is_in_range(value, 1, 65535)


def is_user_id(value: int) -> list[str]:
    return is_in_range(value, 0, 2**31 - 1)


is_group_id = is_user_id


def is_port_name(value: str) -> list[str]:
    """An IANA service name in lower case, at most 15 characters."""
    errors = []
    if byte_length(value) > 15:
        errors.append(max_length_error(15))
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


# names of objects

#: what may stand as a name in a URL's path
_SEGMENT_MAY_NOT_BE = (".", "..")
_SEGMENT_MAY_NOT_CONTAIN = ("/", "%")


def path_segment_prefix(value: str) -> list[str]:
    """The check of a generateName for kinds whose names are path segments."""
    return [f"may not contain '{part}'" for part in _SEGMENT_MAY_NOT_CONTAIN if part in value]


def path_segment_name(value: str) -> list[str]:
    """Names of RBAC objects and other kinds that only have to fit into a URL."""
    for name in _SEGMENT_MAY_NOT_BE:
        if value == name:
            return [f"may not be '{name}'"]
    return path_segment_prefix(value)


def mask_trailing_dash(name: str) -> str:
    """A generateName with its last dash made a letter, so that the name's own rule can judge it."""
    if len(name) > 1 and name.endswith("-"):
        return name[:-2] + "a"
    return name


def name_is_dns_subdomain(name: str, prefix: bool = False) -> list[str]:
    """The rule of most kinds; `prefix` when the name is a generateName."""
    return is_dns1123_subdomain(mask_trailing_dash(name) if prefix else name)


def name_is_path_segment(name: str, prefix: bool = False) -> list[str]:
    """RBAC kinds."""
    return path_segment_prefix(name) if prefix else path_segment_name(name)


# addresses: see meta.addresses for the lenient and canonical rules


def is_ip(value: str) -> list[str]:
    from knarr.meta.addresses import is_ip as check  # ipaddress is loaded when first needed

    return check(value)


def is_cidr(value: str) -> list[str]:
    from knarr.meta.addresses import is_cidr as check

    return check(value)
