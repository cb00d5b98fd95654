"""What mutating and validating webhook configurations have in common."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.admissionregistration import rules, webhookclient
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import labels, names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required

SIDE_EFFECTS = ("None", "NoneOnDryRun")
REVIEW_VERSIONS = ("v1", "v1beta1")
TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX = 10, 30


class WebhookConfiguration(Kind):
    """`mutating` ones may be called again."""

    allow_unconditional_update = False
    mutating = False
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Webhooks",
            "integer",
            "",
            "Webhooks indicates the number of webhooks registered in this configuration",
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        for hook in obj.get("webhooks") or ():
            hook["failurePolicy"] = hook.get("failurePolicy") or "Fail"
            hook["matchPolicy"] = hook.get("matchPolicy") or "Equivalent"
            hook.setdefault("namespaceSelector", {})
            hook.setdefault("objectSelector", {})
            if hook.get("timeoutSeconds") is None:
                hook["timeoutSeconds"] = TIMEOUT_SECONDS
            if self.mutating:
                hook["reinvocationPolicy"] = hook.get("reinvocationPolicy") or "Never"
            rules.default_rules(hook.get("rules"))
            service = (hook.get("clientConfig") or {}).get("service")
            if service is not None and service.get("port") is None:
                service["port"] = webhookclient.PORT

    def validate(self, obj: Object) -> list[FieldError]:
        return self._errors(obj, conditions=True)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        # conditions that nobody changes stay valid, whatever becomes of CEL
        new, before = ([h.get("matchConditions") or [] for h in o.get("webhooks") or ()] for o in (obj, old))
        return self._errors(obj, conditions=new != before)

    def _errors(self, obj: Object, conditions: bool) -> list[FieldError]:
        found: list[FieldError] = []
        seen: set[str] = set()
        for i, hook in enumerate(obj.get("webhooks") or ()):
            found += self._hook_errors(hook, f"webhooks[{i}]", conditions)
            name = hook.get("name", "")
            if name in seen:
                found.append(duplicate(f"webhooks[{i}].name", name))
            seen |= {name} - {""}
        return found

    def _hook_errors(self, hook: Object, path: str, conditions: bool) -> list[FieldError]:
        found = _name_errors(hook.get("name", ""), f"{path}.name")
        for i, rule in enumerate(hook.get("rules") or ()):
            found += rules.rule_errors(rule, f"{path}.rules[{i}]")
        found += checks.one_of(f"{path}.failurePolicy", hook.get("failurePolicy", ""), rules.FAILURE_POLICIES)
        found += checks.one_of(f"{path}.matchPolicy", hook.get("matchPolicy", ""), rules.MATCH_POLICIES)
        effects = hook.get("sideEffects")
        if not effects:
            found.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}"))
        else:
            found += checks.one_of(f"{path}.sideEffects", effects, SIDE_EFFECTS)
        timeout = hook.get("timeoutSeconds", TIMEOUT_SECONDS)
        if not 1 <= timeout <= TIMEOUT_SECONDS_MAX:
            detail = f"the timeout value must be between 1 and {TIMEOUT_SECONDS_MAX} seconds"
            found.append(invalid(f"{path}.timeoutSeconds", timeout, detail))
        for field in ("namespaceSelector", "objectSelector"):
            found += labels.validate_label_selector(hook.get(field) or {}, f"{path}.{field}")
        if self.mutating:
            policy = hook.get("reinvocationPolicy", "")
            found += checks.one_of(f"{path}.reinvocationPolicy", policy, rules.REINVOCATION_POLICIES)
        found += _client_errors(hook.get("clientConfig") or {}, f"{path}.clientConfig")
        if conditions:
            found += rules.match_condition_errors(hook.get("matchConditions"), f"{path}.matchConditions")
        return found + _review_versions(
            hook.get("admissionReviewVersions"), f"{path}.admissionReviewVersions"
        )

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], len(obj.get("webhooks") or ()), printing.age(obj, now)]


def _name_errors(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    return checks.invalids(path, name, names.is_fully_qualified_name(name))


def _client_errors(client: Object, path: str) -> list[FieldError]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if url is not None:
        return webhookclient.url_errors(f"{path}.url", url)
    return webhookclient.service_errors(f"{path}.service", service)


def _review_versions(versions: Any, path: str) -> list[FieldError]:
    if not versions:
        return [required(path, f"must specify one of {', '.join(REVIEW_VERSIONS)}")]
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, version in enumerate(versions):
        if version in seen:
            found.append(invalid(f"{path}[{i}]", version, "duplicate version"))
            continue
        seen.add(version)
        found += checks.invalids(f"{path}[{i}]", version, names.is_dns1035_label(version))
    if not seen & set(REVIEW_VERSIONS):
        found.append(invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return found
