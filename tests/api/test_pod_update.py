"""What may change on a pod, and through which door."""

import copy

import pytest

from .kindcases import CREATED_AT, NOW, Resource

PODS = Resource("pods")
BODY = {
    "metadata": {"uid": "u", "labels": {"a": "b"}},
    "spec": {
        "containers": [
            {"name": "c", "image": "i:1", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}}
        ],
        "activeDeadlineSeconds": 50,
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    },
}


def changed(*steps, body=BODY):
    """The body with some of its parts replaced: (path, value); a value of None takes the part away."""
    new = copy.deepcopy(body)
    for path, value in steps:
        *parents, last = path
        target = new
        for step in parents:
            target = target[step]
        if value is None:
            target.pop(last)
        else:
            target[last] = value
    return new


C = ("spec", "containers", 0)
ALLOWED = [
    (C + ("image",), "j:2"),
    (("spec", "activeDeadlineSeconds"), 40),
    (("metadata", "labels"), {"x": "y"}),
    (
        ("spec", "tolerations"),
        [
            {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9},
            {"operator": "Exists"},
        ],
    ),
]


@pytest.mark.parametrize("path,value", ALLOWED)
def test_allowed(path, value):
    after, errors = PODS.updated(BODY, changed((path, value)))
    assert errors == []
    assert after["metadata"]["generation"] == (1 if path[0] == "metadata" else 2)


CHANGEABLE = (
    "spec: Forbidden: pod updates may not change fields other than"
    " `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only"
    " additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was"
    " previously negative)\n"
)


def test_the_difference_is_shown_as_go_prints_it():
    (error,) = PODS.update_errors(BODY, changed((C + ("command",), ["x"])))
    assert error == CHANGEABLE + (
        "@@ -5,7 +5,9 @@\n"
        "   {\n"
        '    "Name": "c",\n'
        '    "Image": "i:1",\n'
        '-   "Command": null,\n'
        '+   "Command": [\n'
        '+    "x"\n'
        "+   ],\n"
        '    "Args": null,\n'
        '    "WorkingDir": "",\n'
        '    "Ports": null,\n'
    )


REFUSED = [
    (("spec", "activeDeadlineSeconds"), 60, ["spec.activeDeadlineSeconds: Invalid value: 60: must be less than or equal to previous value"]),
    (("spec", "activeDeadlineSeconds"), None, ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"]),
    (("spec", "tolerations"), None, ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]),
    (("spec", "containers"), [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}], ["spec.containers: Forbidden: pod updates may not add or remove containers"]),
    (("spec", "schedulingGates"), [{"name": "g"}], ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"]),
]  # fmt: skip


@pytest.mark.parametrize("path,value,expected", REFUSED)
def test_refused(path, value, expected):
    assert PODS.update_errors(BODY, changed((path, value))) == expected


GATED = changed((("spec", "schedulingGates"), [{"name": "g"}]), (("spec", "nodeSelector"), {"a": "b"}))
NODE_AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "x", "operator": "Exists"}]}]
        }
    }
}


def test_a_gated_pod_may_be_narrowed():
    for path, value in (
        (("spec", "nodeSelector"), {"a": "b", "c": "d"}),
        (("spec", "affinity"), NODE_AFFINITY),
        (("spec", "schedulingGates"), None),
    ):
        assert PODS.update_errors(GATED, changed((path, value), body=GATED)) == []


def test_a_gated_pod_may_not_be_widened():
    assert PODS.update_errors(GATED, changed((("spec", "nodeSelector"), {"c": "d"}), body=GATED)) == [
        'spec.nodeSelector: Invalid value: {"c":"d"}: only additions to spec.nodeSelector are allowed (no mutations or'
        " deletions)"
    ]
    before = changed((("spec", "affinity"), NODE_AFFINITY), body=GATED)
    terms = [{"matchExpressions": [{"key": "y", "operator": "Exists"}]}]
    after = copy.deepcopy(before)
    required = after["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    required["nodeSelectorTerms"] = terms
    (error,) = PODS.update_errors(before, after)
    assert error.endswith("only additions are allowed (no mutations or deletions)")


def through(subresource, old, new):
    """An update through a subresource; the object and its errors."""
    before, after = PODS.created(old), PODS.defaulted(new)
    prepare, validate = PODS.kind.subresource_rules[subresource]
    getattr(PODS.kind, prepare)(after, before)
    return after, [str(error) for error in getattr(PODS.kind, validate)(after, before)]


def test_resize_takes_resources_and_nothing_else():
    new = changed(
        (C + ("resources",), {"limits": {"cpu": "4"}, "requests": {"cpu": "3"}}), (C + ("image",), "x")
    )
    after, errors = through("resize", BODY, new)
    assert errors == []
    container = after["spec"]["containers"][0]
    assert container["resources"] == {"limits": {"cpu": "4"}, "requests": {"cpu": "3"}}
    assert container["image"] == "i:1"
    assert after["metadata"]["generation"] == 2


RESIZES = [
    (
        {"requests": {"cpu": "1"}},
        ["spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"],
    ),
    (
        {"limits": {"cpu": "2", "example.com/x": "1"}, "requests": {"cpu": "1", "example.com/x": "1"}},
        ["spec: Forbidden: only cpu and memory resources are mutable"],
    ),
    (
        {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "2", "memory": "1Gi"}},
        ['spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'],
    ),
]


@pytest.mark.parametrize("resources,expected", RESIZES)
def test_resizes_that_are_refused(resources, expected):
    _, errors = through("resize", BODY, changed((C + ("resources",), resources)))
    assert errors == expected


def with_init(cpu, **more):
    init = {"name": "i", "image": "i", "resources": {"requests": {"cpu": cpu}}, **more}
    return changed((("spec", "initContainers"), [init]))


def test_what_runs_first_is_resized_too():
    assert through("resize", with_init("1"), with_init("2"))[1] == []
    restarting = {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}
    assert through("resize", with_init("1", **restarting), with_init("2", **restarting))[1] == [
        'spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to'
        " 'RestartContainer' for non-sidecar initContainers",
        "spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer"
        " cannot be resized",
    ]


def test_a_resize_adds_renames_and_moves_no_containers():
    added = changed((("spec", "containers"), [BODY["spec"]["containers"][0], {"name": "new", "image": "i"}]))
    assert (
        "spec.containers: Forbidden: containers may not be added or removed on resize"
        in through("resize", BODY, added)[1]
    )
    message = (
        "spec.initContainers[0].name: Forbidden: initContainers may not be renamed or reordered on resize"
    )
    assert through("resize", with_init("1"), with_init("2", name="j"))[1] == [message]


def of_pod(**resources):
    return changed((("spec", "resources"), resources))


POD_RESIZES = [
    (of_pod(limits={"cpu": "9", "memory": "9Gi"}, requests={"cpu": "5"}), []),
    (
        of_pod(limits={"cpu": "8"}, requests={"cpu": "4"}),
        [
            "spec.resources.requests: Forbidden: pod-level resource requests cannot be removed",
            "spec.resources.limits: Forbidden: pod-level resource limits cannot be removed",
        ],
    ),
    (
        of_pod(
            limits={"cpu": "8", "memory": "8Gi", "hugepages-2Mi": "2Mi"},
            requests={"cpu": "4", "hugepages-2Mi": "2Mi"},
        ),
        ["spec: Forbidden: only cpu and memory resources are mutable at pod-level"],
    ),
]


@pytest.mark.parametrize("new,expected", POD_RESIZES)
def test_what_a_pod_has_as_a_whole_is_resized_too(new, expected):
    after, errors = through(
        "resize", of_pod(limits={"cpu": "8", "memory": "8Gi"}, requests={"cpu": "4"}), new
    )
    assert errors == expected
    assert after["spec"]["resources"] == PODS.created(new)["spec"]["resources"]


def test_what_closed_gates_hide_is_dropped():
    sources = [{"clusterTrustBundle": {"name": "b", "path": "p"}}, {"serviceAccountToken": {"path": "t"}}]
    body = changed(
        (("spec", "schedulingGroup"), {"podGroupName": "g"}),
        (("spec", "volumes"), [{"name": "v", "projected": {"sources": sources}}]),
        (C + ("lifecycle",), {"stopSignal": "SIGINT", "preStop": {"sleep": {"seconds": 1}}}),
    )
    spec = PODS.created(body)["spec"]
    assert "schedulingGroup" not in spec
    assert "clusterTrustBundle" not in spec["volumes"][0]["projected"]["sources"][0]
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 1}}}
    stored = PODS.created(body)
    stored["spec"]["schedulingGroup"] = {"podGroupName": "g"}
    kept = copy.deepcopy(stored)
    PODS.kind.prepare_for_update(kept, stored)
    assert kept["spec"]["schedulingGroup"] == {"podGroupName": "g"}


def test_ephemeral_containers_are_only_added():
    old = PODS.created(BODY)
    old["spec"]["ephemeralContainers"] = [{"name": "e", "image": "i"}]
    PODS.kind.default(old)
    for containers, expected in (
        ([{"name": "e", "image": "i"}, {"name": "f", "image": "i"}], []),
        ([], ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be removed\n']),
        (
            [{"name": "e", "image": "other"}],
            [
                'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be changed\n'
                '@@ -1,6 +1,6 @@\n {\n  "Name": "e",\n- "Image": "i",\n+ "Image": "other",\n  "Command": null,\n'
                '  "Args": null,\n  "WorkingDir": "",\n'
            ],
        ),
    ):
        new = PODS.defaulted(changed((("spec", "ephemeralContainers"), containers)))
        PODS.kind.prepare_for_ephemeral_update(new, old)
        assert [str(error) for error in PODS.kind.validate_ephemeral_update(new, old)] == expected


def test_the_main_door_does_not_lead_to_status_and_back():
    after, errors = PODS.updated(BODY, {**BODY, "status": {"phase": "Running"}})
    assert not errors
    assert after["status"] == {"phase": "Pending", "qosClass": "Burstable"}
    after, errors = PODS.updated(
        BODY, {**changed((C + ("image",), "x")), "status": {"phase": "Running"}}, "status"
    )
    assert not errors
    assert after["spec"]["containers"][0]["image"] == "i:1"
    assert after["status"]["qosClass"] == "Burstable"


USERS = "must be between 0 and 2147483647, inclusive"
MAPPED = "status.extendedResourceClaimStatus.requestMappings"
MAPPING = {"containerName": "c", "resourceName": "a/b", "requestName": "r"}
NOT_ASKED = (
    "must match the extended resource name of an entry in spec.initContainers.resources.requests or"
    " spec.containers.resources.requests"
)
STATUSES = [
    ({"qosClass": "Guaranteed"}, ['status.qosClass: Invalid value: "Guaranteed": field is immutable']),
    (
        {"observedGeneration": -1},
        ["status.observedGeneration: Invalid value: -1: must be a non-negative integer"],
    ),
    (
        {"podIPs": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]},
        [
            'status.podIPs: Invalid value: [{"IP":"1.1.1.1"},{"IP":"2.2.2.2"}]: may specify no more than one IP for each'
            " IP family"
        ],
    ),
    ({"podIPs": [{"ip": "1.1.1.1"}, {"ip": "::1"}]}, []),
    (
        {
            "containerStatuses": [
                {"name": "c", "user": {"linux": {"uid": -1, "gid": 0, "supplementalGroups": [0, 2**31]}}}
            ]
        },
        [
            f"status.containerStatuses[0].user.linux.uid: Invalid value: -1: {USERS}",
            f"status.containerStatuses[0].user.linux.supplementalGroups[1]: Invalid value: 2147483648: {USERS}",
        ],
    ),
    (
        {
            "containerStatuses": [
                {
                    "name": "c",
                    "allocatedResourcesStatus": [
                        {"name": "claim:a/b", "resources": [{"resourceID": "x", "health": "Healthy"}]},
                        {
                            "name": "gpu",
                            "resources": [
                                {"resourceID": "x", "health": "Ill"},
                                {"resourceID": "x", "health": "Unknown"},
                            ],
                        },
                    ],
                }
            ]
        },
        [
            'status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "claim:a/b": must match one of the'
            " container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty",
            'status.containerStatuses[0].allocatedResourcesStatus[1].name: Invalid value: "gpu": must match one of the'
            " container's resource requests",
            'status.containerStatuses[0].allocatedResourcesStatus[1].resources[0].health: Unsupported value: "Ill":'
            ' supported values: "Healthy", "Unhealthy", "Unknown"',
            'status.containerStatuses[0].allocatedResourcesStatus[1].resources[1].resourceID: Duplicate value: "x"',
        ],
    ),
    (
        {"ephemeralContainerStatuses": [{"name": "e", "allocatedResourcesStatus": [{"name": "x"}]}]},
        [
            "status.ephemeralContainerStatuses[0].allocatedResourcesStatus: Forbidden: must not be specified in container status"
        ],
    ),
    (
        {"extendedResourceClaimStatus": {}},
        [
            "status.extendedResourceClaimStatus.requestMappings: Required value: at least one request mapping is required",
            "status.extendedResourceClaimStatus.resourceClaimName: Required value",
        ],
    ),
    (
        {
            "extendedResourceClaimStatus": {
                "resourceClaimName": "a",
                "requestMappings": [MAPPING, MAPPING, {**MAPPING, "containerName": "d"}],
            }
        },
        [
            f'{MAPPED}[0].resourceName: Invalid value: "a/b": {NOT_ASKED}',
            f'{MAPPED}[1].resourceName: Invalid value: "a/b": {NOT_ASKED}',
            f'{MAPPED}[1].containerName: Duplicate value: "c"',
            f'{MAPPED}[1].resourceName: Duplicate value: "a/b"',
            f'{MAPPED}[1].requestName: Duplicate value: "r"',
            f'{MAPPED}[2].containerName: Invalid value: "d": must match the name of an entry in spec.initContainers.name or'
            " spec.containers.name",
        ],
    ),
    (
        {"hostIPs": [{"ip": "1.1.1.1"}]},
        ['status.hostIPs[0].ip: Invalid value: "1.1.1.1": must be equal to `hostIP`'],
    ),
]


@pytest.mark.parametrize("status,expected", STATUSES)
def test_statuses(status, expected):
    assert PODS.update_errors(BODY, {**BODY, "status": status}, "status") == expected


def test_what_has_ended_for_good_does_not_run_again():
    body = changed((("spec", "restartPolicy"), "Never"))
    old, new = PODS.created(body), PODS.created(body)
    ended = {"name": "c", "state": {"terminated": {"exitCode": 1}}}
    old["status"]["containerStatuses"] = [ended]
    new["status"]["containerStatuses"] = [{"name": "c", "state": {"running": {}}}]
    assert [str(e) for e in PODS.kind.validate_status_update(new, old)] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]
    old["spec"]["restartPolicy"] = new["spec"]["restartPolicy"] = "OnFailure"
    assert PODS.kind.validate_status_update(new, old) == []


RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}


@pytest.mark.parametrize(
    "container,allowed",
    [
        ({"restartPolicy": "Never", "restartPolicyRules": [RULE]}, True),
        (
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [RULE | {"exitCodes": {"operator": "NotIn", "values": [1]}}],
            },
            False,
        ),
        ({"restartPolicy": "Never", "restartPolicyRules": [RULE | {"action": "RestartAllContainers"}]}, True),
        ({"restartPolicy": "Always"}, True),
        ({"restartPolicy": "OnFailure"}, True),
    ],
)
def test_what_a_containers_rules_let_run_again(container, allowed):
    old, new = (PODS.created(changed((("spec", "restartPolicy"), "Never"))) for _ in range(2))
    for pod, state in ((old, {"terminated": {"exitCode": 1}}), (new, {"waiting": {}})):
        pod["spec"]["containers"][0].update(container)
        pod["status"]["containerStatuses"] = [{"name": "c", "state": state}]
    assert (PODS.kind.validate_status_update(new, old) == []) == allowed


def test_a_bound_pod_is_nominated_for_no_node():
    old, new = (PODS.created(changed((("spec", "nodeName"), "n"))) for _ in range(2))
    new["status"]["nominatedNodeName"] = "m"
    assert [str(error) for error in PODS.kind.validate_status_update(new, old)] == [
        "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node"
    ]
    assert PODS.kind.validate_status_update(new, new) == []


def test_an_address_that_was_there_may_stay():
    old, new = PODS.created(BODY), PODS.created(BODY)
    new["status"]["podIPs"] = [{"ip": "nope"}]
    assert [error.field for error in PODS.kind.validate_status_update(new, old)] == ["status.podIPs[0]"]
    assert PODS.kind.validate_status_update(new, new) == []


OLD_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
COST = "controller.kubernetes.io/pod-deletion-cost"
ANNOTATIONS = [
    ({OLD_TOLERATIONS: "["}, [f'metadata.annotations: Invalid value: "{OLD_TOLERATIONS}": unexpected end of JSON input']),
    ({OLD_TOLERATIONS: '[{"key": "a", "operator": "Exists"}]'}, []),
    ({OLD_TOLERATIONS: '[{"key": "a", "operator": "Exists", "value": "v"}]'},
        [f'metadata.annotations.{OLD_TOLERATIONS}[0].operator: Invalid value: "v": value must be empty when `operator` is'
         " 'Exists'"]),
    ({COST: "-05"}, []),
    ({COST: "05"}, [f'metadata.annotations[{COST}]: Invalid value: "05": must be a 32bit integer']),
]  # fmt: skip


@pytest.mark.parametrize("annotations,expected", ANNOTATIONS)
def test_annotations_of_a_new_pod(annotations, expected):
    assert (
        PODS.errors({**BODY, "metadata": {**BODY.get("metadata", {}), "annotations": annotations}})
        == expected
    )


def test_a_cost_that_was_no_number_need_not_become_one():
    old, new = PODS.created(BODY), PODS.created(BODY)
    old["metadata"]["annotations"], new["metadata"]["annotations"] = {COST: "x"}, {COST: "y"}
    assert PODS.kind.validate_update(new, old) == []
    old["metadata"]["annotations"] = {}
    assert {error.field for error in PODS.kind.validate_update(new, old)} == {f"metadata.annotations[{COST}]"}


@pytest.mark.parametrize(
    "spec,phase,asked,seconds",
    [
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n"}, "Running", 5, 5),
        ({"nodeName": "n"}, "Succeeded", 5, 0),
        ({}, "Pending", 5, 0),
        ({"nodeName": "n"}, "Running", -1, 1),
    ],
)
def test_grace_period(spec, phase, asked, seconds):
    pod = PODS.created({**BODY, "spec": {**BODY["spec"], **spec}})
    pod["status"]["phase"] = phase
    assert PODS.kind.grace_period(pod, asked) == seconds


# the table


def status(*containers, init=(), **more):
    return {"containerStatuses": list(containers), "initContainerStatuses": list(init), **more}


def state(name="c", ready=False, restarts=0, **what):
    return {"name": name, "ready": ready, "restartCount": restarts, "state": what}


RUNNING = {"startedAt": "2026-01-01T00:00:00Z"}
TWO_INIT = [{"name": "i1", "image": "i"}, {"name": "i2", "image": "i"}]
SIDECAR = [{"name": "s", "image": "i", "restartPolicy": "Always"}]
DONE = {"terminated": {"exitCode": 0}}
ROWS = [
    ({}, {"phase": "Pending"}, "0/1", "Pending", "0"),
    ({}, status(state(ready=True, running=RUNNING), phase="Running"), "1/1", "Running", "0"),
    ({}, status(state(waiting={"reason": "CrashLoopBackOff"}, restarts=3), phase="Running"), "0/1", "CrashLoopBackOff", "3"),
    ({}, status(state(terminated={"exitCode": 1, "reason": "Error"}), phase="Failed"), "0/1", "Error", "0"),
    ({}, status(state(terminated={"exitCode": 3}), phase="Failed"), "0/1", "ExitCode:3", "0"),
    ({}, status(state(terminated={"exitCode": 0, "signal": 9}), phase="Failed"), "0/1", "Signal:9", "0"),
    ({}, {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted", "0"),
    (
        {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]},
        status(state(terminated={"reason": "Completed"}), state("d", True, running=RUNNING), phase="Running"),
        "1/2",
        "NotReady",
        "0",
    ),
    (
        {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]},
        status(
            state(terminated={"reason": "Completed"}),
            state("d", True, running=RUNNING),
            phase="Running",
            conditions=[{"type": "Ready", "status": "True"}],
        ),
        "1/2",
        "Running",
        "0",
    ),
    ({"initContainers": TWO_INIT}, status(init=[state("i1", **DONE), state("i2", running=RUNNING)], phase="Pending"), "0/1", "Init:1/2", "0"),
    ({"initContainers": TWO_INIT}, status(init=[state("i1", terminated={"exitCode": 2})], phase="Pending"), "0/1", "Init:ExitCode:2", "0"),
    ({"initContainers": TWO_INIT}, status(init=[state("i1", waiting={"reason": "ErrImagePull"})], phase="Pending"), "0/1", "Init:ErrImagePull", "0"),
    (
        {"initContainers": SIDECAR},
        status(state(ready=True, running=RUNNING), init=[{**state("s", True, 2, running=RUNNING), "started": True}], phase="Running"),
        "2/2",
        "Running",
        "2",
    ),
    (
        {},
        status({**state(ready=True, restarts=2, running=RUNNING), "lastState": {"terminated": {"finishedAt": CREATED_AT}}}, phase="Running"),
        "1/1",
        "Running",
        "2 (120m ago)",
    ),
    ({}, {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}, "0/1", "SchedulingGated", "0"),
]  # fmt: skip


@pytest.mark.parametrize("spec,status,ready,shown,restarts", ROWS)
def test_rows(spec, status, ready, shown, restarts):
    body = {"spec": {"containers": [{"name": "c", "image": "i"}], **spec}, "status": status}
    assert PODS.row_of(body)[:5] == ["a", ready, shown, restarts, "120m"]


def test_a_row_of_a_pod_that_goes():
    pod = PODS.defaulted({**BODY, "status": {"phase": "Running"}})
    pod["metadata"]["deletionTimestamp"] = CREATED_AT
    assert PODS.kind.cells(pod, NOW)[2] == "Terminating"
    pod["status"]["reason"] = "NodeLost"
    assert PODS.kind.cells(pod, NOW)[2] == "Unknown"


def test_the_wide_columns():
    spec = {
        **BODY["spec"],
        "nodeName": "n",
        "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}],
    }
    conditions = [{"type": "x", "status": "True"}, {"type": "y", "status": "False"}]
    body = {
        "spec": spec,
        "status": {"podIPs": [{"ip": "1.1.1.1"}], "nominatedNodeName": "m", "conditions": conditions},
    }
    assert PODS.row_of(body)[5:] == ["1.1.1.1", "n", "m", "1/2"]
    assert PODS.row_of(BODY)[5:] == ["<none>"] * 4
