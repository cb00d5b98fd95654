"""Who may say what in the status of a resource claim."""

import pytest

from knarr.admission.attributes import Attributes, Target
from knarr.auth.authorize import Authorizers
from knarr.auth.claimstatus import ClaimStatusGuard, allocated_node, changed_drivers
from knarr.auth.rbac import RBAC
from knarr.registry.context import Request, UserInfo

from .memory_reader import refusal, run
from .test_auth_rbac import binding, put, role, rule

GROUP = "resource.k8s.io"
ROBOT = "system:serviceaccount:ns:robot"
HERE = UserInfo(ROBOT, extra={"authentication.kubernetes.io/node-name": ("n1",)})
THERE = UserInfo(ROBOT, extra={"authentication.kubernetes.io/node-name": ("n2",)})
NOWHERE = UserInfo(ROBOT)
JOE = UserInfo("joe", extra=HERE.extra)


def selector(*names, key="metadata.name", operator="In", fields="matchFields"):
    return {
        "nodeSelector": {
            "nodeSelectorTerms": [{fields: [{"key": key, "operator": operator, "values": list(names)}]}]
        }
    }


ALLOCATED = {"allocation": selector("n1")}
DEVICE = {"driver": "gpu.x", "pool": "p", "device": "d"}


def write(reader, rules, new, old=None, user=NOWHERE, verb="update"):
    name = "User joe" if user is JOE else "ServiceAccount robot ns"
    put(reader, role("r", [rule(*r) for r in rules]), binding("r", "r", name))
    guard = ClaimStatusGuard(Authorizers(RBAC(reader)))
    request = Request(verb, "", GROUP, "v1", "resourceclaims", "status", "ns", "c", user)
    kind = (GROUP, "v1", "ResourceClaim")
    return guard.validate(Attributes(request, "UPDATE", kind, {"status": new}, {"status": old or {}}))


BINDING = (
    'ResourceClaim.resource.k8s.io "c" is invalid: status: Forbidden: changing status.allocation or '
    'status.reservedFor requires resource="resourceclaims/binding", verb="update" permission: '
    f'resourceclaims.resource.k8s.io is forbidden: User "{ROBOT}" cannot update resource "resourceclaims/binding" '
    'in API group "resource.k8s.io" at the cluster scope'
)


def test_it_concerns_the_status_alone():
    guard = ClaimStatusGuard(None)
    assert guard.handles(Target(GROUP, "resourceclaims", "status", "UPDATE"))
    assert not guard.handles(Target(GROUP, "resourceclaims", "", "UPDATE"))


@pytest.mark.parametrize(
    "old,new", [({}, ALLOCATED), (ALLOCATED, {}), (ALLOCATED, {**ALLOCATED, "reservedFor": [{}]})]
)
def test_allocating_and_reserving(reader, old, new):
    assert refusal(write, reader, [], new, old) == (422, BINDING)
    run(write(reader, [("update", GROUP, "resourceclaims/binding")], new, old))
    assert refusal(write, reader, [("patch", GROUP, "resourceclaims/binding")], new, old) == (422, BINDING)
    run(write(reader, [("patch", GROUP, "resourceclaims/binding")], new, old, verb="patch"))


@pytest.mark.parametrize(
    "user,verb,passes",
    [
        (HERE, "associated-node:update", True),
        (HERE, "arbitrary-node:update", True),
        (THERE, "associated-node:update", False),
        (THERE, "arbitrary-node:update", True),
        (NOWHERE, "associated-node:update", False),
        (JOE, "associated-node:update", False),
        (JOE, "arbitrary-node:update", True),
        (HERE, "update", False),
        (HERE, "associated-node:patch", False),
    ],
)
def test_telling_of_devices(reader, user, verb, passes):
    new = {**ALLOCATED, "devices": [DEVICE]}

    def attempt(driver):
        return write(reader, [(verb, GROUP, "resourceclaims/driver", driver)], new, ALLOCATED, user)

    if passes:
        run(attempt("gpu.x"))
    code, message = refusal(attempt, "gpu.x" if not passes else "other")
    verbs = "associated-node:update arbitrary-node:update" if user is HERE else "arbitrary-node:update"
    assert (
        code == 422 and f'requires resource="resourceclaims/driver", verb="[{verbs}]" permission: ' in message
    )
    assert (
        f'resourceclaims.resource.k8s.io "gpu.x" is forbidden: User "{user.name}" cannot {verbs.split()[0]}'
        in message
    )
    assert message.endswith('in the namespace "ns"')


def test_what_stays_needs_no_right(reader):
    status = {**ALLOCATED, "devices": [DEVICE]}
    run(write(reader, [], status, status))
    run(write(reader, [], {"allocation": None, "reservedFor": []}, {}))
    masters = UserInfo("a", groups=("system:masters",))
    run(write(reader, [], status, {}, masters))


def test_drivers_that_changed():
    other = {**DEVICE, "driver": "net.x"}
    assert changed_drivers([DEVICE, other], [DEVICE]) == {"net.x"}
    assert changed_drivers([], [DEVICE]) == {"gpu.x"}
    assert changed_drivers([{**DEVICE, "data": {}}], [DEVICE]) == {"gpu.x"}
    assert changed_drivers([{**DEVICE, "shareID": "s"}, DEVICE], [DEVICE]) == {"gpu.x"}


@pytest.mark.parametrize(
    "allocation,node",
    [
        (None, ""),
        ({}, ""),
        (selector("n1"), "n1"),
        (selector("n1", "n2"), ""),
        (selector("n1", key="metadata.labels"), ""),
        (selector("n1", operator="NotIn"), ""),
        (selector("n1", fields="matchExpressions"), ""),
        (
            {"nodeSelector": {"nodeSelectorTerms": selector("n1")["nodeSelector"]["nodeSelectorTerms"] * 2}},
            "",
        ),
    ],
)
def test_the_one_node_of_an_allocation(allocation, node):
    assert allocated_node(allocation) == node
