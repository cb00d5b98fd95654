"""PodSecurity: refuses pods that break the namespace's level, warns about what would."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.admission.podsecurity.checks import Verdict, evaluate
from knarr.admission.podsecurity.policy import PREFIX, Policy, Standard, policy_of
from knarr.api import podrefs
from knarr.meta import errors, fielderrors
from knarr.meta.metrics import Counters, Family
from knarr.registry.reader import Reader

#: where the pod template stands in the kinds that have one
TEMPLATES = {
    ("", "replicationcontrollers"): ("spec", "template"),
    ("", "podtemplates"): ("template",),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
#: of the pods of a namespace whose level is raised
EXISTING_PODS_MAX = 3000


class PodSecurity(Plugin):
    name = "PodSecurity"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._evaluations = Counters(
            "pod_security_evaluations_total",
            "Pods and templates that were judged.",
            *("decision", "policy_level", "policy_version", "mode"),
            *("request_operation", "resource", "subresource"),
        )

    def metrics(self) -> Iterator[Family]:
        yield self._evaluations.family()

    def _count(self, a: Attributes, allowed: bool, standard: Standard, mode: str) -> None:
        self._evaluations.add(
            "allow" if allowed else "deny",
            standard.level,
            standard.version,
            mode,
            a.operation.lower(),
            "pod" if a.request.resource == "pods" else "controller",
            a.request.subresource,
        )

    def handles(self, target: Target) -> bool:
        if target.operation not in (CREATE, UPDATE):
            return False
        place = target.group, target.resource
        if place == ("", "pods"):
            return target.subresource in ("", "ephemeralcontainers", "resize")
        return not target.subresource and (place in TEMPLATES or place == ("", "namespaces"))

    def validate(self, a: Attributes) -> None:
        if a.request.resource == "namespaces":
            self._namespace(a)
            return
        namespace = self._reader.get("", "namespaces", "", a.namespace)
        policy = policy_of(namespace["metadata"].get("labels")) if namespace else Policy()
        if policy.lenient:
            if a.request.resource == "pods":
                self._count(a, True, policy.enforce, "enforce")
            return
        if a.request.resource == "pods":
            if a.operation == CREATE or _matters(a.obj, a.old):
                self._judge(a, policy, a.obj, enforce=True)
            return
        template = a.obj
        for key in TEMPLATES[a.request.group, a.request.resource]:
            template = template.get(key) or {}
        if template.get("spec"):
            self._judge(a, policy, template, enforce=False)

    def _judge(self, a: Attributes, policy: Policy, pod: Object, enforce: bool) -> None:
        metadata, spec = pod.get("metadata") or {}, pod["spec"]
        verdicts: dict[Standard, Verdict] = {}

        def verdict(standard: Standard) -> Verdict:
            if standard not in verdicts:
                verdicts[standard] = evaluate(standard, metadata, spec)
            return verdicts[standard]

        notes = a.request.annotations
        if policy.errors:
            notes[f"{PREFIX}error"] = f"Failed to parse policy: {fielderrors.aggregate(policy.errors)}"
        if not verdict(policy.audit).allowed:
            words = f'would violate PodSecurity "{policy.audit}": {verdict(policy.audit).detail}'
            notes[f"{PREFIX}audit-violations"] = words
            self._count(a, False, policy.audit, "audit")
        if enforce:
            notes[f"{PREFIX}enforce-policy"] = str(policy.enforce)
            allowed = verdict(policy.enforce).allowed
            self._count(a, allowed, policy.enforce, "enforce")
            if not allowed:
                raise a.forbidden(
                    f'violates PodSecurity "{policy.enforce}": {verdict(policy.enforce).detail}'
                )
        if not verdict(policy.warn).allowed:
            self._count(a, False, policy.warn, "warn")
            a.request.warn(f'would violate PodSecurity "{policy.warn}": {verdict(policy.warn).detail}')

    def _namespace(self, a: Attributes) -> None:
        policy = policy_of(a.obj["metadata"].get("labels"))
        old = policy_of(a.old["metadata"].get("labels")) if a.old is not None else None
        if policy.errors and (old is None or old.errors != policy.errors):
            raise errors.invalid("", "Namespace", a.name, policy.errors)
        if old is None or policy.enforce == old.enforce:
            return
        relaxed = (
            policy.enforce.minor == old.enforce.minor and policy.enforce.strictness <= old.enforce.strictness
        )
        if policy.enforce.strictness and not relaxed:
            for warning in self._existing(a.name, policy.enforce):
                a.request.warn(warning)

    def _existing(self, namespace: str, standard: Standard) -> list[str]:
        """Warnings about pods that are there already and break the new level: one line per kind of violation."""
        pods = list(self._reader.list("", "pods", namespace))
        broken: dict[str, list[str]] = {}
        for pod in pods[:EXISTING_PODS_MAX]:
            verdict = evaluate(standard, pod["metadata"], pod["spec"])
            if not verdict.allowed:
                broken.setdefault(verdict.reason, []).append(pod["metadata"]["name"])
        warnings = []
        if len(pods) > EXISTING_PODS_MAX:
            warnings.append(
                f"new PodSecurity enforce level only checked against the first {EXISTING_PODS_MAX} of {len(pods)} "
                "existing pods"
            )
        if broken:
            warnings.append(
                f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"'
            )
        return warnings + sorted(f"{_named(names)}: {reason}" for reason, names in broken.items())


def _named(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other pod{'s' if others > 1 else ''})"


def _matters(pod: Object, old: Object) -> bool:
    """Whether an update touches what the checks look at: of what may change, images and old annotations."""
    return _relevant(pod) != _relevant(old)


def _relevant(pod: Object) -> tuple[object, ...]:
    annotations = pod["metadata"].get("annotations") or {}
    marks = {k: v for k, v in annotations.items() if "seccomp.security.alpha.kubernetes.io/" in k}
    spec = pod["spec"]
    counts = [len(spec.get(k) or ()) for k in ("containers", "initContainers")]
    return marks, counts, [(c.get("name"), c.get("image")) for c in podrefs.containers(spec)]
