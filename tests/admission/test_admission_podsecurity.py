"""The pod security standards: every check, labels, warnings. The messages are recorded ones or Kubernetes' own."""

import pytest

from knarr.admission.chain import Chain
from knarr.admission.podsecurity.checks import BASELINE, RESTRICTED, evaluate
from knarr.admission.podsecurity.plugin import PodSecurity
from knarr.admission.podsecurity.policy import LATEST, PREFIX, Standard, policy_of

from ..auth.memory_reader import refusal, run
from .asking import admit, attributes, pod, refused

GOOD = {
    "containers": [
        {
            "name": "c",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
}
PLAIN = (
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)


def context(**settings):
    return {"containers": [{"name": "c", "securityContext": settings}]}


def several(**settings):
    return {"containers": [{"name": n, "securityContext": settings} for n in "ab"]}


@pytest.mark.parametrize(
    ("spec", "finding"),
    [
        ({}, None),
        (
            {"hostNetwork": True, "hostPID": True, "hostIPC": True},
            "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
        ),
        (context(privileged=True), 'privileged (container "c" must not set securityContext.privileged=true)'),
        (
            several(privileged=True),
            'privileged (containers "a", "b" must not set securityContext.privileged=true)',
        ),
        (
            context(capabilities={"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]}),
            'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        ({"volumes": [{"name": "h", "hostPath": {}}]}, 'hostPath volumes (volume "h")'),
        (
            {"containers": [{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 443}, {"hostPort": 0}]}]},
            'hostPort (container "c" uses hostPorts 443, 80)',
        ),
        (
            {"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "h"}}}]},
            'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
        ),
        (
            {"containers": [{"name": "c", "lifecycle": {"preStop": {"tcpSocket": {"host": "h"}}}}]},
            'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
        ),
        (
            context(procMount="Unmasked"),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        ({"hostUsers": False} | context(procMount="Unmasked"), None),
        (
            context(seLinuxOptions={"type": "x", "user": "u", "role": "r"}),
            'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "x"; user may not be '
            "set; role may not be set)",
        ),
        (context(seLinuxOptions={"type": "container_engine_t"}), None),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.x"}, {"name": "net.ipv4.tcp_rmem"}]}},
            "forbidden sysctls (kernel.x)",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ],
)
def test_baseline(spec, finding):
    verdict = evaluate(Standard("baseline"), {}, pod(**spec)["spec"])
    assert verdict.detail == (finding or "")
    assert evaluate(Standard("privileged"), {}, pod(**spec)["spec"]).allowed


def test_apparmor_annotations():
    metadata = {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}
    detail = evaluate(Standard("baseline"), metadata, pod()["spec"]).detail
    assert detail.startswith("forbidden AppArmor profile (annotation must not set AppArmor profile type to")
    metadata["annotations"] = {"container.apparmor.security.beta.kubernetes.io/c": "localhost/x"}
    assert evaluate(Standard("baseline"), metadata, pod()["spec"]).allowed


def good(**more):
    return GOOD | more


def good_context(**settings):
    return good(securityContext=GOOD["securityContext"] | settings)


@pytest.mark.parametrize(
    ("spec", "finding"),
    [
        (GOOD, None),
        ({}, PLAIN),
        (good_context(runAsUser=0), "runAsUser=0 (pod must not set runAsUser=0)"),
        (good_context(runAsUser=0) | {"hostUsers": False}, None),
        (
            good_context(runAsNonRoot=False),
            "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
        ),
        (
            good(
                volumes=[
                    {"name": "h", "hostPath": {}},
                    {"name": "n", "nfs": {}},
                    {"name": "e", "emptyDir": {}},
                ]
            ),
            'restricted volume types (volumes "h", "n" use restricted volume types "hostPath", "nfs")',
        ),
        (
            good_context(seccompProfile={"type": "Unconfined"}),
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            good(
                containers=[
                    {
                        "name": "c",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]},
                        },
                    }
                ]
            ),
            'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
        (
            {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}},
            None,
        ),
    ],
)
def test_restricted(spec, finding):
    assert evaluate(Standard("restricted"), {}, pod(**spec)["spec"]).detail == (finding or "")


@pytest.mark.parametrize(
    ("minor", "reasons"),
    [
        (7, "runAsNonRoot != true"),
        (8, "allowPrivilegeEscalation != false, runAsNonRoot != true"),
        (21, "allowPrivilegeEscalation != false, runAsNonRoot != true, seccompProfile"),
        (
            LATEST,
            "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        ),
    ],
)
def test_older_versions_ask_less(minor, reasons):
    assert evaluate(Standard("restricted", minor), {}, pod()["spec"]).reason == reasons


def test_older_versions_know_fewer_sysctls_and_annotations():
    spec = pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]})["spec"]
    assert not evaluate(Standard("baseline", 31), {}, spec).allowed
    assert evaluate(Standard("baseline", 32), {}, spec).allowed
    metadata = {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}
    assert evaluate(Standard("baseline", 18), metadata, pod()["spec"]).detail == (
        'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    )
    assert evaluate(Standard("baseline", 19), metadata, pod()["spec"]).allowed


def test_findings_come_in_the_order_of_their_names():
    for checks in (BASELINE, RESTRICTED):
        assert [c.name for c in checks] == sorted(c.name for c in checks)


def namespace(reader, name="ns", **labels):
    labels = {f"{PREFIX}{k.replace('_', '-')}": v for k, v in labels.items()}
    reader.put("", "namespaces", {"metadata": {"name": name, "labels": labels}})
    return PodSecurity(reader)


def warnings(plugin, *args, **more):
    a = attributes(*args, **more)
    run(Chain([plugin]).validate(a))
    return a.request.warnings


def test_enforcing(reader):
    plugin = namespace(reader, enforce="restricted")
    assert refused(plugin, pod("a")) == (
        403,
        f'pods "a" is forbidden: violates PodSecurity "restricted:latest": {PLAIN}',
    )
    admit(plugin, pod(**GOOD))
    older = namespace(reader, enforce="baseline", enforce_version="v1.30")
    assert refused(older, pod("f", hostPID=True)) == (
        403,
        'pods "f" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostPID=true)',
    )


def test_warning_and_noting(reader):
    plugin = namespace(reader, enforce="baseline", warn="restricted", audit="restricted")
    words = f'would violate PodSecurity "restricted:latest": {PLAIN}'
    assert warnings(plugin, pod()) == [words]
    a = attributes(pod())
    plugin.validate(a)
    assert a.request.annotations == {
        f"{PREFIX}enforce-policy": "baseline:latest",
        f"{PREFIX}audit-violations": words,
    }


def test_what_makes_pods_is_warned_about(reader):
    plugin = namespace(reader, enforce="restricted")
    template = {"metadata": {}, "spec": pod()["spec"]}
    deployment = {"metadata": {"name": "d", "namespace": "ns"}, "spec": {"template": template}}
    words = f'would violate PodSecurity "restricted:latest": {PLAIN}'
    assert warnings(plugin, deployment, "deployments", group="apps") == [words]
    cron = {
        "metadata": {"name": "d", "namespace": "ns"},
        "spec": {"jobTemplate": {"spec": {"template": template}}},
    }
    assert warnings(plugin, cron, "cronjobs", group="batch") == [words]


def test_updates_are_judged_where_they_matter(reader):
    plugin = namespace(reader, enforce="restricted")
    bad = pod()
    labelled = {**bad, "metadata": {**bad["metadata"], "labels": {"a": "b"}}}
    admit(plugin, labelled, operation="UPDATE", old=bad)
    assert refused(plugin, pod(containers=[{"name": "c", "image": "new"}]), "pods", "UPDATE", bad)[0] == 403
    debug = pod(ephemeralContainers=[{"name": "e", "image": "i"}])
    assert refused(plugin, debug, "pods", "UPDATE", bad, sub="ephemeralcontainers")[0] == 403


def ns(**labels):
    return {
        "metadata": {"name": "ns", "labels": {f"{PREFIX}{k.replace('_', '-')}": v for k, v in labels.items()}}
    }


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            {"enforce": "paranoid"},
            f'metadata.labels[{PREFIX}enforce]: Invalid value: "paranoid": must be one of privileged, baseline, '
            "restricted",
        ),
        (
            {"enforce_version": "new"},
            f'metadata.labels[{PREFIX}enforce-version]: Invalid value: "new": must be "latest" or "v1.x"',
        ),
    ],
)
def test_labels_that_cannot_be_read(reader, labels, words):
    plugin = PodSecurity(reader)
    message = f'Namespace "ns" is invalid: {words}'
    assert refused(plugin, ns(**labels), "namespaces") == (422, message)
    assert refusal(lambda: admit(plugin, ns(**labels), "namespaces", "UPDATE", ns())) == (422, message)
    admit(plugin, ns(**labels), "namespaces", "UPDATE", ns(**labels))  # an old mistake stands in nobody's way


def test_raising_the_level_warns_about_what_is_there(reader):
    plugin = PodSecurity(reader)
    for name, spec in (
        ("v", {"hostNetwork": True}),
        ("w", {"hostNetwork": True}),
        ("x", {"hostPID": True}),
        ("y", {}),
    ):
        reader.put("", "pods", pod(name, **spec))
    reader.put("", "pods", pod("z", volumes=[{"name": "h", "hostPath": {}}]))
    assert warnings(plugin, ns(enforce="baseline"), "namespaces", "UPDATE", ns()) == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "v (and 2 other pods): host namespaces",
        "z: hostPath volumes",
    ]
    assert warnings(plugin, ns(enforce="baseline"), "namespaces", "UPDATE", ns(enforce="restricted")) == []
    assert warnings(plugin, ns(enforce="privileged"), "namespaces", "UPDATE", ns(enforce="baseline")) == []


def test_policies():
    assert policy_of(None).lenient
    assert policy_of({"x": "y"}).lenient
    read = policy_of({f"{PREFIX}enforce": "baseline", f"{PREFIX}enforce-version": "v1.30"})
    assert (str(read.enforce), str(read.warn), str(read.audit)) == (
        "baseline:v1.30",
        "baseline:v1.30",
        "privileged:latest",
    )
    told = policy_of({f"{PREFIX}enforce": "baseline", f"{PREFIX}warn": "privileged"})
    assert str(told.warn) == "privileged:latest"
    older = policy_of({f"{PREFIX}enforce": "baseline", f"{PREFIX}warn-version": "v1.20"})
    assert str(older.warn) == "baseline:v1.20"
    broken = policy_of({f"{PREFIX}{mode}": "nonsense" for mode in ("enforce", "audit", "warn")})
    assert [s.level for s in broken[:3]] == ["restricted", "privileged", "privileged"]
