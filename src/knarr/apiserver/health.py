"""/healthz, /livez, /readyz with their checks, and /version."""

from __future__ import annotations

from collections.abc import Callable

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler

#: what the API server says it is
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2+knarr",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.27.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}
#: hooks of a v1.36 API server that are done once this one listens, in the order /readyz?verbose lists them
HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-wait-for-first-sync",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
)
TAIL = ("autoregister-completion",)
LAST_HOOKS = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")

#: those that are done when everything a new cluster holds is written
WRITING_HOOKS = (
    "start-system-namespaces-controller",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "kube-apiserver-autoregistration",
)
Check = Callable[[], str | None]


def passed() -> None:
    return None


class Health:
    """Checks by name; each gives None, or why it fails. `store` and `ready` are the two that can fail: the latter says
    whether what a new cluster holds is written."""

    def __init__(self, handler: APIHandler, store: Check, ready: Check) -> None:
        self._handler = handler
        self._started = handler.world.clock.monotonic()
        #: how often a check was made, by (endpoint, check, "success" or "error")
        self.counts: dict[tuple[str, str, str], int] = {}
        hooks = [f"poststarthook/{name}" for name in HOOKS]
        tail = [*TAIL, *(f"poststarthook/{name}" for name in LAST_HOOKS)]
        common: dict[str, Check] = dict.fromkeys((*hooks, *tail), passed)
        written = {f"poststarthook/{name}" for name in WRITING_HOOKS}
        common |= dict.fromkeys(written, ready)
        patient = self._patiently(ready)
        live: dict[str, Check] = {
            "ping": passed,
            "log": passed,
            "loopback-serving-certificate": passed,
            "etcd": store,
        }
        self._checks: dict[str, dict[str, Check]] = {
            "livez": {**live, **common, **dict.fromkeys(written, patient)},
            "healthz": {**live, **common},
            "readyz": {
                "ping": passed,
                "log": passed,
                "informer-sync": ready,
                **common,
                "shutdown": self._not_stopping,
            },
        }
        for name in self._checks:
            handler.paths[f"/{name}"] = self.serve
            handler.paths[f"/{name}/*"] = self.serve
        handler.paths["/version"] = self.version

    def paths(self) -> list[str]:
        """What `/` lists of them."""
        found = [f"/{which}" for which in self._checks]
        for which, checks in self._checks.items():
            found += [f"/{which}/{name}" for name in checks]
        return found

    def _judged(self, which: str, name: str, check: Check) -> str | None:
        why = check()
        key = (which, name, "success" if why is None else "error")
        self.counts[key] = self.counts.get(key, 0) + 1
        return why

    def results(self) -> dict[str, dict[str, str | None]]:
        """Every check of every endpoint: None, or why it fails."""
        return {
            which: {name: check() for name, check in checks.items()} for which, checks in self._checks.items()
        }

    def _patiently(self, check: Check) -> Check:
        """What is not done yet passes for so long (`--livez-grace-period`)."""
        clock = self._handler.world.clock

        def patient() -> str | None:
            grace = self._handler.limits.livez_grace_period
            return None if grace and clock.monotonic() - self._started < grace else check()

        return patient

    def _not_stopping(self) -> str | None:
        return "process is shutting down" if self._handler.ending else None

    async def serve(self, x: Exchange) -> None:
        which, slash, single = x.http.path[1:].partition("/")
        checks = self._checks[which]
        if slash:
            if single not in checks:
                self._handler.responder.text(x, 404, "404 page not found\n")
                return
            why = self._judged(which, single, checks[single])
            if why:
                self._handler.responder.text(x, 500, f"internal server error: {why}\n")
            else:
                self._handler.responder.text(x, 200, "ok")
            return
        excluded = set(x.http.query_all("exclude"))
        lines, failed = [], False
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
                excluded.discard(name)
                continue
            why = self._judged(which, name, check)
            failed = failed or why is not None
            lines.append(f"[+]{name} ok" if why is None else f"[-]{name} failed: reason withheld")
        if excluded:
            names = ", ".join(f'"{name}"' for name in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        text = "\n".join(lines) + "\n"
        if failed:
            self._handler.responder.text(x, 500, f"{text}{which} check failed\n")
        elif "verbose" in x.http.query:
            self._handler.responder.text(x, 200, f"{text}{which} check passed\n")
        else:
            self._handler.responder.text(x, 200, "ok")

    async def version(self, x: Exchange) -> None:
        import orjson

        from knarr.apiserver import negotiate
        from knarr.apiserver.discovery import only_reads
        from knarr.apiserver.respond import indent

        only_reads(x)
        accepted = negotiate.accept(x.http.headers.get("accept", ""), transformable=False)
        if accepted is None or accepted.media_type != negotiate.JSON:
            raise negotiate.not_acceptable((negotiate.JSON,))
        self._handler.responder.send(x, 200, "application/json", indent(orjson.dumps(VERSION)))
