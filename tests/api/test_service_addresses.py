"""Addresses and node ports of Services: what is taken, kept and given back."""

import copy

import pytest

from knarr.api.core import serviceaddresses

from .servicecases import FAMILIES, SERVICES, allocate, stored


def test_what_is_taken_is_said():
    obj = SERVICES.defaulted({"spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}})
    assert [str(error) for error in allocate(obj, taken=("10.96.0.1",))] == [
        'spec.clusterIPs: Invalid value: ["10.96.0.1"]: failed to allocate IP 10.96.0.1:'
        " provided port is already allocated"
    ]
    obj = SERVICES.defaulted({"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31999}]}})
    assert [str(error) for error in allocate(obj, taken=(31999,))] == [
        "spec.ports[0].nodePort: Invalid value: 31999: provided port is already allocated"
    ]


def test_ports_of_one_number_share_a_node_port():
    ports = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP", "nodePort": 31053}]
    obj = stored({"spec": {"type": "NodePort", "ports": [*ports, {"name": "x", "port": 80}]}})
    assert [port["nodePort"] for port in obj["spec"]["ports"]] == [31053, 31053, 30333]


#: spec, families of the cluster, families and addresses of the service
DUAL_STACK = [
    pytest.param({}, ("IPv4", "IPv6"), ["IPv4"], ["10.96.0.77"], id="single by default"),
    pytest.param({}, ("IPv6", "IPv4"), ["IPv6"], ["fd00::77"], id="first family"),
    pytest.param(
        {"ipFamilyPolicy": "PreferDualStack"}, ("IPv4",), ["IPv4"], ["10.96.0.77"], id="not to be had"
    ),
    pytest.param(
        {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]},
        ("IPv4", "IPv6"),
        ["IPv6", "IPv4"],
        ["fd00::77", "10.96.0.77"],
        id="both",
    ),
    pytest.param(
        {"ipFamilyPolicy": "PreferDualStack", "clusterIP": "fd00::5"},
        ("IPv4", "IPv6"),
        ["IPv6", "IPv4"],
        ["fd00::5", "10.96.0.77"],
        id="family of an address",
    ),
    pytest.param(
        {"clusterIP": "None"}, ("IPv4",), ["IPv4", "IPv6"], ["None"], id="headless without selector"
    ),
    pytest.param(
        {"clusterIP": "None", "selector": {"a": "b"}},
        ("IPv4",),
        ["IPv4"],
        ["None"],
        id="headless with selector",
    ),
]


@pytest.mark.parametrize(("spec", "cluster", "families", "ips"), DUAL_STACK)
def test_families(spec, cluster, families, ips):
    obj = SERVICES.defaulted({"spec": {"ports": [{"port": 80}], **spec}})
    assert not allocate(obj, families=cluster)
    assert obj["spec"]["ipFamilies"] == families
    assert obj["spec"]["clusterIPs"] == ips
    assert obj["spec"]["clusterIP"] == ips[0]
    assert SERVICES.kind.validate(obj) == []


def updated(old, changes, cluster=FAMILIES):
    """The service after a merge patch of its spec, and the errors."""
    new = copy.deepcopy(old)
    for key, value in changes.items():
        if value is None:
            new["spec"].pop(key, None)
        else:
            new["spec"][key] = value
    SERVICES.kind.default(new)
    serviceaddresses.patch_allocated_values(new, old)
    errors = allocate(new, old, cluster)
    if not errors:
        SERVICES.kind.prepare_for_update(new, old)
        errors = SERVICES.kind.validate_update(new, old)
    return new, [str(error) for error in errors]


def test_an_update_that_leaves_them_out_keeps_addresses_and_ports():
    old = stored(
        {"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}}
    )
    assert old["spec"]["healthCheckNodePort"]
    new, errors = updated(
        old, {"clusterIP": None, "clusterIPs": None, "healthCheckNodePort": None, "ports": [{"port": 80}]}
    )
    assert not errors
    assert new["spec"] == old["spec"]
    assert serviceaddresses.released_node_ports(new, old) == []


def test_another_type_gives_back_what_it_has_no_use_for():
    old = stored(
        {"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}}
    )
    new, errors = updated(old, {"type": "ClusterIP"})
    assert not errors
    assert set(old["spec"]) - set(new["spec"]) == {
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "allocateLoadBalancerNodePorts",
    }
    assert "nodePort" not in new["spec"]["ports"][0]
    assert serviceaddresses.released_node_ports(new, old) == [30333, 30334]
    gone, errors = updated(old, {"type": "ExternalName", "externalName": "a.b"})
    assert not errors
    assert sorted(gone["spec"]) == ["externalName", "ports", "sessionAffinity", "type"]
    assert serviceaddresses.released_cluster_ips(gone, old) == ["10.96.0.77"]
    back, errors = updated(gone, {"type": "NodePort", "externalName": None})
    assert not errors
    assert back["spec"]["clusterIPs"] == ["10.96.0.77"]
    assert back["spec"]["ports"][0]["nodePort"] == 30333


def test_a_changed_cluster_ip_counts_for_both_fields():
    old = stored({"spec": {"ports": [{"port": 80}]}})
    _, errors = updated(old, {"clusterIP": "None"})
    assert errors == ['spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set']
    _, errors = updated(old, {"ipFamilies": ["IPv6"]})
    assert errors == [
        'spec.clusterIPs[0]: Invalid value: "10.96.0.77": expected an IPv6 value as indicated by `ipFamilies[0]`'
    ]


def test_dual_stack_comes_and_goes():
    cluster = ("IPv4", "IPv6")
    single = stored({"spec": {"ports": [{"port": 80}]}})
    double, errors = updated(single, {"ipFamilyPolicy": "PreferDualStack"}, cluster)
    assert not errors
    assert double["spec"]["clusterIPs"] == ["10.96.0.77", "fd00::77"]
    kept, errors = updated(double, {"clusterIPs": ["10.96.0.77"]}, cluster)
    assert errors == [
        'spec.ipFamilyPolicy: Invalid value: "PreferDualStack":'
        " must be 'SingleStack' to release the secondary cluster IP"
    ]
    again, errors = updated(double, {"ipFamilyPolicy": "SingleStack"}, cluster)
    assert not errors
    assert again["spec"]["clusterIPs"] == ["10.96.0.77"]
    assert serviceaddresses.released_cluster_ips(again, double) == ["fd00::77"]


def test_a_load_balancer_keeps_its_node_ports_until_they_are_taken_out():
    old = stored({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    new = copy.deepcopy(old)
    new["spec"]["allocateLoadBalancerNodePorts"] = False
    SERVICES.kind.prepare_for_update(new, old)
    assert serviceaddresses.node_ports(new["spec"]) == serviceaddresses.node_ports(old["spec"]) == [30333]
    del new["spec"]["ports"][0]["nodePort"]
    serviceaddresses.patch_allocated_values(new, old)
    assert serviceaddresses.node_ports(new["spec"]) == []


def test_an_unknown_type_is_the_only_thing_wrong():
    old = stored({"spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    new = copy.deepcopy(old)
    new["spec"]["type"] = "Magic"
    serviceaddresses.patch_allocated_values(new, old)
    SERVICES.kind.prepare_for_update(new, old)
    assert [str(error) for error in SERVICES.kind.validate_update(new, old)] == [
        'spec.type: Unsupported value: "Magic":'
        ' supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
    ]


def test_the_status_of_a_load_balancer_ends_with_it():
    old = stored({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    old["status"] = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "VIP"}]}, "conditions": []}
    new = copy.deepcopy(old)
    new["spec"]["type"] = "NodePort"
    SERVICES.kind.prepare_for_update(new, old)
    assert new["status"] == {"loadBalancer": {}, "conditions": []}


def test_fewer_ports_lose_their_node_ports_too():
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    old = stored({"spec": {"type": "NodePort", "ports": ports}})
    new = copy.deepcopy(old)
    new["spec"]["type"] = "ClusterIP"
    del new["spec"]["ports"][1]
    SERVICES.kind.prepare_for_update(new, old)
    assert serviceaddresses.node_ports(new["spec"]) == []
