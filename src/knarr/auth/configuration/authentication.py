"""AuthenticationConfiguration: issuers of JSON Web Tokens, and which requests may be anonymous."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from knarr.auth.configuration import ConfigurationError, load
from knarr.auth.configuration.expressions import (
    Compiled,
    claims_environment,
    compile_expression,
    user_environment,
)
from knarr.meta import fielderrors, gourl, names
from knarr.meta.fielderrors import FieldError

Object = dict[str, Any]

KIND = "AuthenticationConfiguration"
ISSUERS_MAX = 64
PREFIXED = {"claim": load.STRING, "prefix": load.STRING, "expression": load.STRING}
SHAPE = {
    "jwt": [
        {
            "issuer": {
                "url": load.STRING,
                "discoveryURL": load.STRING,
                "certificateAuthority": load.STRING,
                "audiences": [load.STRING],
                "audienceMatchPolicy": load.STRING,
                "egressSelectorType": load.STRING,
            },
            "claimValidationRules": [
                {
                    "claim": load.STRING,
                    "requiredValue": load.STRING,
                    "expression": load.STRING,
                    "message": load.STRING,
                }
            ],
            "claimMappings": {
                "username": PREFIXED,
                "groups": PREFIXED,
                "uid": {"claim": load.STRING, "expression": load.STRING},
                "extra": [{"key": load.STRING, "valueExpression": load.STRING}],
            },
            "userValidationRules": [{"expression": load.STRING, "message": load.STRING}],
        }
    ],
    "anonymous": {"enabled": load.BOOL, "conditions": [{"path": load.STRING}]},
}


@dataclass
class Issuer:
    """One member of `jwt`, checked. `config` is as it was written; expressions are compiled."""

    config: Object
    username: Compiled | None = None
    groups: Compiled | None = None
    uid: Compiled | None = None
    #: key and expression, in order
    extra: list[tuple[str, Compiled]] = field(default_factory=list)
    #: expression and message, in order
    claim_rules: list[tuple[Compiled, str]] = field(default_factory=list)
    user_rules: list[tuple[Compiled, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.config["issuer"].get("url", "")


@dataclass(frozen=True)
class Authentication:
    """A whole configuration. `anonymous` is None where the file does not speak of it."""

    issuers: Sequence[Issuer] = ()
    anonymous: Object | None = None


def read(path: str, disallowed: Collection[str] = ()) -> Authentication:
    """From a file; `disallowed` are issuers that are this cluster's own. Raises ConfigurationError."""
    return parse(load.read_file(path), path, disallowed)


def parse(data: bytes, path: str, disallowed: Collection[str] = ()) -> Authentication:
    """As `read`, of a file's content."""
    config = load.decode(data, KIND, SHAPE, path)
    issuers, found = check(config, disallowed)
    if found:
        raise ConfigurationError(f"{path}: {fielderrors.aggregate(found)}")
    return Authentication(issuers, config.get("anonymous"))


def check(config: Object, disallowed: Collection[str] = ()) -> tuple[list[Issuer], list[FieldError]]:
    """The issuers, and what is wrong with them."""
    members = config.get("jwt") or []
    if len(members) > ISSUERS_MAX:
        return [], [fielderrors.too_many("jwt", len(members), ISSUERS_MAX)]
    issuers: list[Issuer] = []
    found: list[FieldError] = []
    seen: dict[str, set[str]] = {"url": set(), "discoveryURL": set()}
    for number, member in enumerate(members):
        path = f"jwt[{number}]"
        member.setdefault("issuer", {})
        issuer = Issuer(member)
        found += check_issuer(issuer, path, disallowed)
        for key, known in seen.items():
            value = member["issuer"].get(key, "")
            if value in known:
                found.append(fielderrors.duplicate(f"{path}.issuer.{key}", value))
            if value or key == "url":
                known.add(value)
        issuers.append(issuer)
    anonymous = config.get("anonymous") or {}
    if not anonymous.get("enabled") and anonymous.get("conditions"):
        words = "enabled should be set to true when conditions are defined"
        shown = [{"Path": c.get("path", "")} for c in anonymous["conditions"]]
        found.append(fielderrors.invalid("anonymous.conditions", shown, words))
    return issuers, found


def check_issuer(issuer: Issuer, path: str, disallowed: Collection[str] = ()) -> list[FieldError]:
    """Compiles the expressions of `issuer`; what is wrong with it."""
    config = issuer.config
    return [
        *_provider(config["issuer"], f"{path}.issuer", disallowed),
        *_claim_rules(issuer, config.get("claimValidationRules") or [], f"{path}.claimValidationRules"),
        *_mappings(issuer, config.get("claimMappings") or {}, f"{path}.claimMappings"),
        *_user_rules(issuer, config.get("userValidationRules") or [], f"{path}.userValidationRules"),
    ]


# -- the provider ------------------------------------------------------------------------------------------


def _provider(config: Object, path: str, disallowed: Collection[str]) -> list[FieldError]:
    url, discovery = config.get("url", ""), config.get("discoveryURL", "")
    found = _url(url, f"{path}.url", disallowed) if url else [fielderrors.required(f"{path}.url")]
    if discovery:
        where = f"{path}.discoveryURL"
        if url and url.rstrip("/") == discovery.rstrip("/"):
            found.append(fielderrors.invalid(where, discovery, "discoveryURL must be different from URL"))
        found += _url(discovery, where)
    found += _audiences(config, path)
    if config.get("certificateAuthority") and (why := bad_certificates(config["certificateAuthority"])):
        found.append(fielderrors.invalid(f"{path}.certificateAuthority", "<omitted>", why))
    if config.get("egressSelectorType") not in (None, "", "controlplane", "cluster"):
        words = "egress selector must be either controlplane or cluster"
        found.append(fielderrors.invalid(f"{path}.egressSelectorType", config["egressSelectorType"], words))
    return found


def _url(url: str, path: str, disallowed: Collection[str] = ()) -> list[FieldError]:
    found = []
    if url in disallowed:
        listed = f"[{' '.join(sorted(disallowed))}]"
        words = f"URL must not overlap with disallowed issuers: {listed}"
        found.append(fielderrors.invalid(path, url, words))
    if fault := gourl.fault(url):
        return [*found, fielderrors.invalid(path, url, fault)]
    parts = urlsplit(url)
    if parts.scheme != "https":
        found.append(fielderrors.invalid(path, url, "URL scheme must be https"))
    if "@" in parts.netloc:
        found.append(fielderrors.invalid(path, url, "URL must not contain a username or password"))
    if parts.query:
        found.append(fielderrors.invalid(path, url, "URL must not contain a query"))
    if parts.fragment:
        found.append(fielderrors.invalid(path, url, "URL must not contain a fragment"))
    return found


def _audiences(config: Object, path: str) -> list[FieldError]:
    audiences, policy = config.get("audiences") or [], config.get("audienceMatchPolicy", "")
    if not audiences:
        words = f"at least one {path}.audiences is required"
        return [fielderrors.required(f"{path}.audiences", words)]
    found = []
    for number, audience in enumerate(audiences):
        where = f"{path}.audiences[{number}]"
        if not audience:
            found.append(fielderrors.required(where))
        if audience in audiences[:number]:
            found.append(fielderrors.duplicate(where, audience))
    where = f"{path}.audienceMatchPolicy"
    if len(audiences) > 1 and policy != "MatchAny":
        words = "audienceMatchPolicy must be MatchAny for multiple audiences"
        found.append(fielderrors.invalid(where, policy, words))
    if len(audiences) == 1 and policy not in ("", "MatchAny"):
        words = "audienceMatchPolicy must be empty or MatchAny for single audience"
        found.append(fielderrors.invalid(where, policy, words))
    return found


def bad_certificates(pem: str) -> str:
    """What is wrong with a bundle of certificates; "" if nothing is."""
    import ssl

    if "-----BEGIN CERTIFICATE-----" not in pem:
        return "data does not contain any valid RSA or ECDSA certificates"
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        return f"x509: malformed certificate: {error}"
    return ""


# -- rules and mappings ------------------------------------------------------------------------------------


def _claim_rules(issuer: Issuer, rules: list[Object], path: str) -> list[FieldError]:
    from knarr.meta.cel.types import BOOL

    found: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for number, rule in enumerate(rules):
        where = f"{path}[{number}]"
        claim, text = rule.get("claim", ""), rule.get("expression", "")
        if claim and text:
            found.append(fielderrors.invalid(where, claim, "claim and expression can't both be set"))
            continue
        if not claim and not text:
            found.append(fielderrors.required(where, "claim or expression is required"))
            continue
        key, other, owner = (
            ("claim", "message", "claim") if claim else ("expression", "requiredValue", "expression")
        )
        if rule.get(other):
            words = f"may not be specified when {owner} is set"
            found.append(fielderrors.invalid(f"{where}.{other}", rule[other], words))
        if (key, claim or text) in seen:
            found.append(fielderrors.duplicate(f"{where}.{key}", claim or text))
            continue
        seen.add((key, claim or text))
        if text:
            compiled, wrong = compile_expression(claims_environment(), text, f"{where}.expression", [BOOL])
            found += wrong
            if compiled is not None:
                issuer.claim_rules.append((compiled, rule.get("message", "")))
    return found


def _user_rules(issuer: Issuer, rules: list[Object], path: str) -> list[FieldError]:
    from knarr.meta.cel.types import BOOL

    found: list[FieldError] = []
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        where, text = f"{path}[{number}].expression", rule.get("expression", "")
        if not text:
            found.append(fielderrors.required(where))
        elif text in seen:
            found.append(fielderrors.duplicate(where, text))
        else:
            seen.add(text)
            compiled, wrong = compile_expression(user_environment(), text, where, [BOOL])
            found += wrong
            if compiled is not None:
                issuer.user_rules.append((compiled, rule.get("message", "")))
    return found


def _mappings(issuer: Issuer, mappings: Object, path: str) -> list[FieldError]:
    issuer.username, found = _prefixed(mappings.get("username") or {}, f"{path}.username", needed=True)
    issuer.groups, wrong = _prefixed(mappings.get("groups") or {}, f"{path}.groups", needed=False)
    found += wrong
    uid = mappings.get("uid") or {}
    if uid.get("claim") and uid.get("expression"):
        found.append(fielderrors.invalid(f"{path}.uid", "", "claim and expression can't both be set"))
    elif uid.get("expression"):
        where = f"{path}.uid.expression"
        issuer.uid, wrong = compile_expression(claims_environment(), uid["expression"], where)
        found += wrong
    found += _extra(issuer, mappings.get("extra") or [], f"{path}.extra")
    return found + _email(issuer, path)


def _prefixed(mapping: Object, path: str, needed: bool) -> tuple[Compiled | None, list[FieldError]]:
    claim, text = mapping.get("claim", ""), mapping.get("expression", "")
    if claim and text:
        return None, [fielderrors.invalid(path, "", "claim and expression can't both be set")]
    if not claim and not text:
        return None, [fielderrors.required(path, "claim or expression is required")] if needed else []
    if claim:
        if "prefix" in mapping:
            return None, []
        words = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
        return None, [fielderrors.required(f"{path}.prefix", words)]
    found = []
    if "prefix" in mapping:
        words = "may not be specified when expression is set"
        found.append(fielderrors.invalid(f"{path}.prefix", mapping["prefix"], words))
    compiled, wrong = compile_expression(claims_environment(), text, f"{path}.expression")
    return compiled, found + wrong


def _extra(issuer: Issuer, mappings: list[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for number, mapping in enumerate(mappings):
        where, key, text = f"{path}[{number}]", mapping.get("key", ""), mapping.get("valueExpression", "")
        found += _extra_key(key, f"{where}.key")
        if key in seen:
            found.append(fielderrors.duplicate(f"{where}.key", key))
            continue
        seen.add(key)
        if not text:
            found.append(fielderrors.required(f"{where}.valueExpression"))
            continue
        compiled, wrong = compile_expression(claims_environment(), text, f"{where}.valueExpression")
        found += wrong
        if compiled is not None:
            issuer.extra.append((key, compiled))
    return found


def _extra_key(key: str, path: str) -> list[FieldError]:
    if not key:
        return [fielderrors.required(path)]
    found = [fielderrors.invalid(path, v, words) for v, words in names.domain_prefixed_path_problems(key)]
    if key != key.lower():
        found.append(fielderrors.invalid(path, key, "must be lowercase"))
    domain, slash, _ = key.partition("/")
    if slash and any(f".{domain}".endswith(f".{own}") for own in ("kubernetes.io", "k8s.io")):
        words = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
        found.append(fielderrors.invalid(path, key, words))
    return found


def _email(issuer: Issuer, path: str) -> list[FieldError]:
    """An address is a name only if somebody looks whether it was verified."""
    username = issuer.username
    if username is None or not username.selects("claims", "email"):
        return []
    looked = [username, *(c for _, c in issuer.extra), *(c for c, _ in issuer.claim_rules)]
    if any(c.selects("claims", "email_verified") for c in looked):
        return []
    words = (
        "claims.email_verified must be used in claimMappings.username.expression or "
        "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used "
        "in claimMappings.username.expression"
    )
    return [fielderrors.invalid(f"{path}.username.expression", username.text, words)]
