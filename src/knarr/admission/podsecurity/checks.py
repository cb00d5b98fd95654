"""Every check of the baseline and restricted levels, with Kubernetes' reasons and details.

A check gets a `View` of the pod and returns (reason, detail), or None when it finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from knarr.admission.podsecurity.policy import Standard
from knarr.api import podrefs

Object = dict[str, Any]
Finding = tuple[str, str]

APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_ANNOTATION = "container.seccomp.security.alpha.kubernetes.io/"

#: capabilities a container may add at baseline
CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
#: sysctls that a pod may set, and the minor version from which on
SYSCTLS = {
    "kernel.shm_rmid_forced": 0,
    "net.ipv4.ip_local_port_range": 0,
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ping_group_range": 0,
    "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_keepalive_time": 29,
    "net.ipv4.tcp_fin_timeout": 29,
    "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29,
    "net.ipv4.tcp_rmem": 32,
    "net.ipv4.tcp_wmem": 32,
}
SELINUX_TYPES = {
    "": 0,
    "container_t": 0,
    "container_init_t": 0,
    "container_kvm_t": 0,
    "container_engine_t": 31,
}
VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
SAFE_PROFILES = ("RuntimeDefault", "Localhost")
#: from here on a pod in a user namespace of its own may be root inside
USER_NAMESPACES = 35


class View(NamedTuple):
    """A pod (or a template) and the minor version it is judged by."""

    metadata: Object
    spec: Object
    minor: int

    def containers(self) -> Iterator[tuple[str, Object, Object]]:
        """(name, security context, container)"""
        for container in podrefs.containers(self.spec):
            yield container.get("name", ""), container.get("securityContext") or {}, container

    @property
    def context(self) -> Object:
        return self.spec.get("securityContext") or {}

    @property
    def annotations(self) -> Object:
        return self.metadata.get("annotations") or {}

    @property
    def windows(self) -> bool:
        return self.minor >= 25 and (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def own_users(self) -> bool:
        return self.minor >= USER_NAMESPACES and self.spec.get("hostUsers") is False


class Check(NamedTuple):
    """`since`: the minor version from which on it holds; `replaces`: the check it makes superfluous."""

    name: str
    since: int
    find: Callable[[View], Finding | None]
    replaces: str = ""


class Verdict(NamedTuple):
    """All findings of one evaluation."""

    findings: tuple[Finding, ...]

    @property
    def allowed(self) -> bool:
        return not self.findings

    @property
    def reason(self) -> str:
        return ", ".join(reason for reason, _ in self.findings)

    @property
    def detail(self) -> str:
        return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in self.findings)


def evaluate(standard: Standard, metadata: Object, spec: Object) -> Verdict:
    """Judge a pod by a standard."""
    if not standard.strictness:
        return Verdict(())
    view = View(metadata, spec, standard.minor)
    restricted = standard.level == "restricted"
    strict = [c for c in RESTRICTED if c.since <= view.minor] if restricted else []
    replaced = {c.replaces for c in strict}
    chosen = [c for c in BASELINE if c.since <= view.minor and c.name not in replaced] + strict
    found = (check.find(view) for check in chosen)
    return Verdict(tuple(f for f in found if f is not None))


# -- words -----------------------------------------------------------------------------------------------


def _quoted(names: Iterable[str]) -> str:
    return '"' + '", "'.join(names) + '"'


def _plural(one: str, names: list[str] | set[str], many: str = "") -> str:
    return one if len(names) == 1 else many or f"{one}s"


def _containers(names: list[str]) -> str:
    return f"{_plural('container', names)} {_quoted(names)}"


def _setters(pod: bool, names: list[str]) -> str:
    return " and ".join(["pod"] * pod + [_containers(names)] * bool(names))


# -- baseline --------------------------------------------------------------------------------------------


def _apparmor(view: View) -> Finding | None:
    values: set[str] = set()
    profile = (view.context.get("appArmorProfile") or {}).get("type")
    in_pod = profile not in (None, *SAFE_PROFILES)
    if in_pod:
        values.add(str(profile))
    names = []
    for name, context, _ in view.containers():
        profile = (context.get("appArmorProfile") or {}).get("type")
        if profile not in (None, *SAFE_PROFILES):
            names.append(name)
            values.add(profile)
    annotations = sorted(
        f'{key}="{value}"'
        for key, value in view.annotations.items()
        if key.startswith(APPARMOR_ANNOTATION)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    setters = [
        s for s in (_setters(in_pod, names), _plural("annotation", annotations) if annotations else "") if s
    ]
    if not setters:
        return None
    bad = [*sorted(values), *annotations]
    words = f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(bad)}"
    return _plural("forbidden AppArmor profile", bad), words


def _capabilities(view: View) -> Finding | None:
    names, added = [], set()
    for name, context, _ in view.containers():
        bad = set((context.get("capabilities") or {}).get("add") or ()) - CAPABILITIES
        if bad:
            names.append(name)
            added |= bad
    if not names:
        return None
    words = (
        f"{_containers(names)} must not include {_quoted(sorted(added))} in securityContext.capabilities.add"
    )
    return "non-default capabilities", words


def _host_namespaces(view: View) -> Finding | None:
    found = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if view.spec.get(key)]
    return ("host namespaces", ", ".join(found)) if found else None


def _host_paths(view: View) -> Finding | None:
    names = [v["name"] for v in view.spec.get("volumes") or () if "hostPath" in v]
    return ("hostPath volumes", f"{_plural('volume', names)} {_quoted(names)}") if names else None


def _host_ports(view: View) -> Finding | None:
    names: list[str] = []
    ports: set[str] = set()
    for name, _, container in view.containers():
        bad = {str(p["hostPort"]) for p in container.get("ports") or () if p.get("hostPort")}
        if bad:
            names.append(name)
            ports |= bad
    if not names:
        return None
    verb, noun = _plural("uses", names, "use"), _plural("hostPort", ports)
    return "hostPort", f"{_containers(names)} {verb} {noun} {', '.join(sorted(ports))}"


def _host_probes(view: View) -> Finding | None:
    names: set[str] = set()
    hosts: set[str] = set()
    for name, _, container in view.containers():
        lifecycle = container.get("lifecycle") or {}
        handlers = [container.get(k) for k in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        for handler in filter(None, handlers):
            for kind in ("httpGet", "tcpSocket"):
                host = (handler.get(kind) or {}).get("host")
                if host:
                    names.add(name)
                    hosts.add(host)
    if not names:
        return None
    verb = _plural("uses", names, "use")
    noun = _plural("probe or lifecycle host", hosts)
    words = f"{_containers(sorted(names))} {verb} {noun} {_quoted(sorted(hosts))}"
    return "probe or lifecycle host", words


def _privileged(view: View) -> Finding | None:
    names = [name for name, context, _ in view.containers() if context.get("privileged")]
    words = "must not set securityContext.privileged=true"
    return ("privileged", f"{_containers(names)} {words}") if names else None


def _proc_mount(view: View) -> Finding | None:
    if view.own_users:
        return None
    bad = {n: c["procMount"] for n, c, _ in view.containers() if c.get("procMount") not in (None, "Default")}
    if not bad:
        return None
    words = f"must not set securityContext.procMount to {_quoted(sorted(set(bad.values())))}"
    return "procMount", f"{_containers(list(bad))} {words}"


def _selinux(view: View) -> Finding | None:
    types: set[str] = set()
    others: set[str] = set()

    def bad(options: Object) -> bool:
        wrong = False
        kind = options.get("type", "")
        if SELINUX_TYPES.get(kind, 1 << 31) > view.minor:
            types.add(kind)
            wrong = True
        for key in ("user", "role"):
            if options.get(key):
                others.add(key)
                wrong = True
        return wrong

    in_pod = bad(view.context.get("seLinuxOptions") or {})
    names = [name for name, context, _ in view.containers() if bad(context.get("seLinuxOptions") or {})]
    if not in_pod and not names:
        return None
    data = [f"{_plural('type', types)} {_quoted(sorted(types))}"] if types else []
    data += [f"{key} may not be set" for key in ("user", "role") if key in others]
    words = f"{_setters(in_pod, names)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    return "seLinuxOptions", words


def _seccomp_set_badly(view: View) -> Finding | None:
    values: set[str] = set()

    def bad(context: Object) -> bool:
        kind = (context.get("seccompProfile") or {}).get("type")
        if kind in (None, *SAFE_PROFILES):
            return False
        values.add(kind)
        return True

    in_pod = bad(view.context)
    names = [name for name, context, _ in view.containers() if bad(context)]
    if not in_pod and not names:
        return None
    words = f"must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return "seccompProfile", f"{_setters(in_pod, names)} {words}"


def _seccomp_baseline(view: View) -> Finding | None:
    if view.minor >= 19:
        return _seccomp_set_badly(view)
    keys = [SECCOMP_POD_ANNOTATION, *(SECCOMP_ANNOTATION + name for name, _, _ in view.containers())]
    bad = sorted(
        {f'{k}="{view.annotations[k]}"' for k in keys if not _safe_annotation(view.annotations.get(k))}
    )
    return ("seccompProfile", f"forbidden {_plural('annotation', bad)} {', '.join(bad)}") if bad else None


def _safe_annotation(value: str | None) -> bool:
    return value in (None, "runtime/default", "docker/default") or value.startswith("localhost/")


def _sysctls(view: View) -> Finding | None:
    names = [s["name"] for s in view.context.get("sysctls") or ()]
    bad = [name for name in names if SYSCTLS.get(name, 1 << 31) > view.minor]
    return ("forbidden sysctls", ", ".join(bad)) if bad else None


def _host_process(view: View) -> Finding | None:
    in_pod = bool((view.context.get("windowsOptions") or {}).get("hostProcess"))
    names = [n for n, c, _ in view.containers() if (c.get("windowsOptions") or {}).get("hostProcess")]
    if not in_pod and not names:
        return None
    return (
        "hostProcess",
        f"{_setters(in_pod, names)} must not set securityContext.windowsOptions.hostProcess=true",
    )


# -- restricted ------------------------------------------------------------------------------------------


def _escalation(view: View) -> Finding | None:
    if view.windows:
        return None
    names = [n for n, c, _ in view.containers() if c.get("allowPrivilegeEscalation") is not False]
    words = "must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", f"{_containers(names)} {words}") if names else None


def _drop_all(view: View) -> Finding | None:
    if view.windows:
        return None
    keeping, adding, added = [], [], set()
    for name, context, _ in view.containers():
        capabilities = context.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            keeping.append(name)
        bad = set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}
        if bad:
            adding.append(name)
            added |= bad
    details = []
    if keeping:
        details.append(f'{_containers(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        quoted = _quoted(sorted(added))
        details.append(f"{_containers(adding)} must not include {quoted} in securityContext.capabilities.add")
    return ("unrestricted capabilities", "; ".join(details)) if details else None


def _restricted_volumes(view: View) -> Finding | None:
    names, kinds = [], set()
    for volume in view.spec.get("volumes") or ():
        bad = [key for key in volume if key != "name" and key not in VOLUMES]
        if bad:
            names.append(volume["name"])
            kinds.add(bad[0])
    if not names:
        return None
    verb, noun = _plural("uses", names, "use"), _plural("restricted volume type", kinds)
    words = f"{_plural('volume', names)} {_quoted(names)} {verb} {noun} {_quoted(sorted(kinds))}"
    return "restricted volume types", words


def _run_as_non_root(view: View) -> Finding | None:
    if view.own_users:
        return None
    pod = view.context.get("runAsNonRoot")
    explicit = [n for n, c, _ in view.containers() if c.get("runAsNonRoot") is False]
    if pod is False or explicit:
        words = "must not set securityContext.runAsNonRoot=false"
        return "runAsNonRoot != true", f"{_setters(pod is False, explicit)} {words}"
    implicit = [n for n, c, _ in view.containers() if c.get("runAsNonRoot") is None and not pod]
    words = "must set securityContext.runAsNonRoot=true"
    return ("runAsNonRoot != true", f"pod or {_containers(implicit)} {words}") if implicit else None


def _run_as_user(view: View) -> Finding | None:
    if view.own_users:
        return None
    in_pod = view.context.get("runAsUser") == 0
    names = [n for n, c, _ in view.containers() if c.get("runAsUser") == 0]
    if not in_pod and not names:
        return None
    return "runAsUser=0", f"{_setters(in_pod, names)} must not set runAsUser=0"


def _seccomp_restricted(view: View) -> Finding | None:
    if view.windows:
        return None
    explicit = _seccomp_set_badly(view)
    if explicit is not None or view.context.get("seccompProfile"):
        return explicit
    names = [n for n, c, _ in view.containers() if not c.get("seccompProfile")]
    words = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return ("seccompProfile", f"pod or {_containers(names)} {words}") if names else None


#: in the order of their names, which is the order of the findings
BASELINE = (
    Check("appArmorProfile", 0, _apparmor),
    Check("capabilities_baseline", 0, _capabilities),
    Check("hostNamespaces", 0, _host_namespaces),
    Check("hostPathVolumes", 0, _host_paths),
    Check("hostPorts", 0, _host_ports),
    Check("hostProbesAndHostLifecycle", 34, _host_probes),
    Check("privileged", 0, _privileged),
    Check("procMount", 0, _proc_mount),
    Check("seLinuxOptions", 0, _selinux),
    Check("seccompProfile_baseline", 0, _seccomp_baseline),
    Check("sysctls", 0, _sysctls),
    Check("windowsHostProcess", 0, _host_process),
)
RESTRICTED = (
    Check("allowPrivilegeEscalation", 8, _escalation),
    Check("capabilities_restricted", 22, _drop_all, "capabilities_baseline"),
    Check("restrictedVolumes", 0, _restricted_volumes, "hostPathVolumes"),
    Check("runAsNonRoot", 0, _run_as_non_root),
    Check("runAsUser", 23, _run_as_user),
    Check("seccompProfile_restricted", 19, _seccomp_restricted, "seccompProfile_baseline"),
)
