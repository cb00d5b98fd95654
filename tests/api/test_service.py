"""Service: defaults, rules, updates, table."""

import copy

import pytest

from knarr.api.core import serviceaddresses

from .kindcases import BAD_CIDR, BAD_IP, LABEL, QUALIFIED, SUBDOMAIN, Resource, without_metadata

SERVICES = Resource("services")

FAMILIES = ("IPv4",)


def stored(body, old=None):
    """As the registry does it: addresses first, then the rest."""
    obj = SERVICES.defaulted(body)
    assert not allocate(obj, old)
    SERVICES.kind.prepare_for_create(obj)
    return obj


def allocate(obj, old=None, families=FAMILIES, taken=()):
    """Addresses and ports for a service; the first free ones are 10.96.0.77, fd00::77 and 30333, 30334 ..."""
    serviceaddresses.normalize_cluster_ips(obj, old)
    free = iter(range(30333, 30400))

    def take(*wanted):
        return "provided port is already allocated" if wanted[-1] in taken else None

    return (
        serviceaddresses.init_ip_families(obj, old, families)
        or serviceaddresses.allocate_cluster_ips(
            obj, old, take, lambda family: "10.96.0.77" if family == "IPv4" else "fd00::77"
        )
        or serviceaddresses.allocate_node_ports(obj, old, take, lambda what: next(free))
    )


def errors_of(body):
    obj = SERVICES.defaulted(body)
    errors = allocate(obj)
    if not errors:
        SERVICES.kind.prepare_for_create(obj)
        errors = SERVICES.kind.validate(obj)
    return [str(error) for error in errors]


#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"ports": [{"port": 80}]}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="service",
    ),
    pytest.param(
        {
            "spec": {
                "type": "NodePort",
                "selector": {"a": "b"},
                "ports": [
                    {"name": "x", "port": 80, "targetPort": "http"},
                    {"name": "y", "port": 81, "protocol": "UDP"},
                ],
            }
        },
        {
            "spec": {
                "ports": [
                    {"name": "x", "protocol": "TCP", "port": 80, "targetPort": "http", "nodePort": 30333},
                    {"name": "y", "protocol": "UDP", "port": 81, "targetPort": 81, "nodePort": 30334},
                ],
                "selector": {"a": "b"},
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "NodePort",
                "sessionAffinity": "None",
                "externalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="nodeport",
    ),
    pytest.param(
        {
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "selector": {"a": "b"},
                "ports": [{"port": 80}],
            }
        },
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80, "nodePort": 30333}],
                "selector": {"a": "b"},
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "LoadBalancer",
                "sessionAffinity": "None",
                "externalTrafficPolicy": "Local",
                "healthCheckNodePort": 30334,
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "allocateLoadBalancerNodePorts": True,
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="loadbalancer",
    ),
    pytest.param(
        {"spec": {"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 80}]}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "selector": {"a": "b"},
                "clusterIP": "None",
                "clusterIPs": ["None"],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="headless",
    ),
    pytest.param(
        {"spec": {"type": "ExternalName", "externalName": "example.com"}},
        {
            "spec": {"type": "ExternalName", "sessionAffinity": "None", "externalName": "example.com"},
            "status": {"loadBalancer": {}},
        },
        id="externalname",
    ),
    pytest.param(
        {"spec": {"sessionAffinity": "ClientIP", "ports": [{"port": 80}], "clusterIP": "10.96.200.77"}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "clusterIP": "10.96.200.77",
                "clusterIPs": ["10.96.200.77"],
                "type": "ClusterIP",
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="affinity",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "targetPort": 0}]}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="target port zero",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "PreferDualStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="prefer dual stack",
    ),
    pytest.param(
        {"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31999}]}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80, "nodePort": 31999}],
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "NodePort",
                "sessionAffinity": "None",
                "externalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="node port first",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}},
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="session affinity config none",
    ),
    pytest.param(
        {
            "spec": {
                "ports": [{"port": 80}],
                "type": "LoadBalancer",
                "loadBalancerIP": "1.2.3.4",
                "allocateLoadBalancerNodePorts": False,
            }
        },
        {
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "clusterIP": "10.96.0.77",
                "clusterIPs": ["10.96.0.77"],
                "type": "LoadBalancer",
                "sessionAffinity": "None",
                "loadBalancerIP": "1.2.3.4",
                "externalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "allocateLoadBalancerNodePorts": False,
                "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        },
        id="load balancer ip",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(stored(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param({}, ["spec.ports: Required value"], id="no spec"),
    pytest.param({"spec": {"selector": {"a": "b"}}}, ["spec.ports: Required value"], id="no ports"),
    pytest.param(
        {"spec": {"ports": [{"port": 0}]}},
        [
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
        id="port range",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 70000}]}},
        [
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ],
        id="port 70000",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}, {"port": 81}]}},
        ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        id="two unnamed",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}},
        ['spec.ports[1].name: Duplicate value: "a"'],
        id="duplicate name",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}},
        [
            'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}'
        ],
        id="duplicate port",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "name": "UP"}]}},
        [f'spec.ports[0].name: Invalid value: "UP": {LABEL}'],
        id="port name upper",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "protocol": "HTTP"}]}},
        ['spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
        id="protocol",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "targetPort": "Not_A_Port!"}]}},
        [
            'spec.ports[0].targetPort: Invalid value: "Not_A_Port!": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'
        ],
        id="target port bad",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "type": "Magic"}},
        [
            'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
        ],
        id="type",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "clusterIP": "1.2.3"}},
        [f'spec.clusterIPs[0]: Invalid value: "1.2.3": {BAD_IP}'],
        id="cluster ip invalid",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "clusterIP": "10.96.200.1", "clusterIPs": ["10.96.200.2"]}},
        ['spec.clusterIPs: Invalid value: ["10.96.200.2"]: first value must match `clusterIP`'],
        id="cluster ips mismatch",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "ipFamilies": ["IPv6"]}},
        ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
        id="ip families v6",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "ipFamilyPolicy": "RequireDualStack"}},
        [
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'
        ],
        id="require dual stack",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "ipFamilies": ["IPv4", "IPv4"]}},
        ['spec.ipFamilies[1]: Duplicate value: "IPv4"'],
        id="ip families duplicate",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "ipFamilyPolicy": "Triple"}},
        [
            'spec.ipFamilyPolicy: Unsupported value: "Triple": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"'
        ],
        id="ip family policy",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "nodePort": 30080}]}},
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        id="node port on clusterip",
    ),
    pytest.param(
        {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"], id="external name missing"
    ),
    pytest.param(
        {"spec": {"type": "ExternalName", "externalName": "not a host"}},
        [f'spec.externalName: Invalid value: "not a host": {SUBDOMAIN}'],
        id="external name bad",
    ),
    pytest.param(
        {"spec": {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.3.3"}},
        ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
        id="external name with clusterip",
    ),
    pytest.param(
        {"spec": {"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80}]}},
        ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        id="headless nodeport",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "sessionAffinity": "Cookie"}},
        ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
        id="session affinity",
    ),
    pytest.param(
        {
            "spec": {
                "ports": [{"port": 80}],
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
            }
        },
        [
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400"
        ],
        id="session affinity timeout",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "externalTrafficPolicy": "Local"}},
        [
            'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'
        ],
        id="external traffic policy clusterip",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "internalTrafficPolicy": "Nearby"}},
        ['spec.internalTrafficPolicy: Unsupported value: "Nearby": supported values: "Cluster", "Local"'],
        id="internal traffic policy",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "type": "NodePort", "healthCheckNodePort": 30001}},
        [
            "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        ],
        id="health check node port",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "loadBalancerClass": "a.b/c"}},
        ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        id="load balancer class clusterip",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "type": "LoadBalancer", "loadBalancerSourceRanges": ["nope"]}},
        [f'spec.LoadBalancerSourceRanges[0]: Invalid value: "nope": {BAD_CIDR}'],
        id="source ranges",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "externalIPs": ["a", "127.0.0.1"]}},
        [
            f'spec.externalIPs[0]: Invalid value: "a": {BAD_IP}',
            'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        ],
        id="external ips bad",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "externalIPs": ["010.1.2.3"]}},
        ['spec.externalIPs[0]: Invalid value: "010.1.2.3": must not have leading 0s'],
        id="external ips leading zero",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "trafficDistribution": "Random"}},
        [
            'spec.trafficDistribution: Unsupported value: "Random": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"'
        ],
        id="traffic distribution",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "selector": {"a b": "c"}}},
        [f'spec.selector: Invalid value: "a b": {QUALIFIED}'],
        id="selector bad",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80, "appProtocol": "bad protocol"}]}},
        [f'spec.ports[0].appProtocol: Invalid value: "bad protocol": {QUALIFIED}'],
        id="app protocol",
    ),
    pytest.param(
        {
            "spec": {
                "type": "NodePort",
                "ports": [
                    {"name": "a", "port": 80, "nodePort": 30080},
                    {"name": "b", "port": 81, "nodePort": 30080},
                ],
            }
        },
        ["spec.ports[1].nodePort: Duplicate value: 30080"],
        id="duplicate node port",
    ),
    pytest.param(
        {
            "spec": {
                "ports": [{"port": 80}],
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            }
        },
        [
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400"
        ],
        id="no affinity seconds",
    ),
    pytest.param(
        {
            "spec": {
                "ports": [{"port": 80}],
                "clusterIPs": ["10.96.0.1", "10.96.0.2", "10.96.0.3"],
                "clusterIP": "10.96.0.1",
            }
        },
        [
            'spec.clusterIPs: Invalid value: ["10.96.0.1","10.96.0.2","10.96.0.3"]: may only hold up to 2 values',
            'spec.clusterIPs: Invalid value: ["10.96.0.1","10.96.0.2","10.96.0.3"]: may specify no more than one IP for each IP family',
        ],
        id="three cluster ips",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "clusterIPs": ["None", "10.96.0.2"], "clusterIP": "None"}},
        ['spec.clusterIPs: Invalid value: ["None","10.96.0.2"]: \'None\' must be the first and only value'],
        id="headless and more",
    ),
    pytest.param(
        {
            "spec": {
                "ports": [{"port": 80}],
                "allocateLoadBalancerNodePorts": False,
                "loadBalancerSourceRanges": ["10.0.0.0/8"],
            }
        },
        [
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ],
        id="load balancer fields elsewhere",
    ),
    pytest.param(
        {
            "metadata": {
                "annotations": {
                    "service.kubernetes.io/topology-aware-hints": "a",
                    "service.kubernetes.io/topology-mode": "b",
                }
            },
            "spec": {"ports": [{"port": 80}]},
        },
        [
            'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "b": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified'
        ],
        id="topology annotations disagree",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert errors_of(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "type": "LoadBalancer",
                "loadBalancerClass": "a/b",
                "ports": [{"port": 80}],
            }
        },
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "type": "LoadBalancer",
                "loadBalancerClass": "a/c",
                "ports": [{"port": 80}],
            }
        },
        ['spec.loadBalancerClass: Invalid value: "a/c": may not change once set'],
        id="class of a load balancer",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80}],
            }
        },
        {
            "spec": {
                "clusterIP": "10.96.0.6",
                "clusterIPs": ["10.96.0.6"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80}],
            }
        },
        ['spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set'],
        id="cluster IP",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80}],
            }
        },
        {"spec": {"ports": [{"port": 80}], "ipFamilies": ["IPv4"]}},
        ["spec.clusterIPs[0]: Invalid value: null: primary clusterIP can not be unset"],
        id="no cluster IP",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80}],
            }
        },
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv6"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80}],
            }
        },
        [
            'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set',
            'spec.clusterIPs[0]: Invalid value: "10.96.0.5": expected an IPv6 value as indicated by `ipFamilies[0]`',
        ],
        id="family",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "externalIPs": ["010.1.2.3"]}},
        {"spec": {"ports": [{"port": 80}], "externalIPs": ["010.1.2.3"]}},
        [],
        id="old external IP stays",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert SERVICES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "externalIPs": ["9.9.9.9"]}},
        ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
        id="external IPs",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "None",
                "clusterIPs": ["None"],
                "loadBalancerIP": "1.2.3.4",
                "sessionAffinity": "ClientIP",
            }
        },
        [
            "spec.loadBalancerIP is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services",
        ],
        id="headless",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "externalName": "a.b"}},
        ['spec.externalName is ignored when spec.type is not "ExternalName"'],
        id="name without its type",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "trafficDistribution": "PreferClose"}},
        ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        id="old distribution",
    ),
    pytest.param(
        {"spec": {"ports": [{"port": 80}], "clusterIP": "2001:DB8::1", "clusterIPs": ["2001:DB8::1"]}},
        [
            'spec.clusterIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'
        ],
        id="odd address",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert SERVICES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "selector": {"c": "d", "a": "b"},
                "ports": [{"port": 80, "name": "x"}, {"port": 53, "protocol": "UDP", "name": "y"}],
            }
        },
        ["a", "ClusterIP", "10.96.0.5", "<none>", "80/TCP,53/UDP", "120m", "a=b,c=d"],
        id="ports and selector",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "type": "NodePort",
                "ports": [{"port": 80, "nodePort": 31777}],
            }
        },
        ["a", "NodePort", "10.96.0.5", "<none>", "80:31777/TCP", "120m", "<none>"],
        id="node port",
    ),
    pytest.param(
        {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}},
        ["a", "ClusterIP", "None", "<none>", "<none>", "120m", "<none>"],
        id="headless",
    ),
    pytest.param(
        {"spec": {"type": "ExternalName", "externalName": "x.example.com"}},
        ["a", "ExternalName", "<none>", "x.example.com", "<none>", "120m", "<none>"],
        id="external name",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "type": "LoadBalancer",
            }
        },
        ["a", "LoadBalancer", "10.96.0.5", "<pending>", "<none>", "120m", "<none>"],
        id="pending load balancer",
    ),
    pytest.param(
        {
            "spec": {
                "clusterIP": "10.96.0.5",
                "clusterIPs": ["10.96.0.5"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "type": "LoadBalancer",
                "externalIPs": ["9.9.9.9"],
            },
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}, {"ip": "8.8.8.8"}]}},
        },
        ["a", "LoadBalancer", "10.96.0.5", "8.8.8.8,lb.example.com,9.9.9.9", "<none>", "120m", "<none>"],
        id="load balancer",
    ),
    pytest.param(
        {"spec": {"type": "Odd"}},
        ["a", "Odd", "<none>", "<unknown>", "<none>", "120m", "<none>"],
        id="unknown type",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert SERVICES.row_of(body) == cells


# addresses and ports


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


def test_a_status_with_an_address_as_nobody_writes_it():
    body = {"status": {"loadBalancer": {"ingress": [{"hostname": "a"}, {"ip": "2001:db8:0::1"}]}}}
    (said,) = SERVICES.kind.warnings_on_status_update(body, body)
    assert said.startswith(
        'status.loadBalancer.ingress[1]: IPv6 address "2001:db8:0::1" should be in RFC 5952'
    )


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


def test_status_of_a_load_balancer_only():
    status = {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}}
    spec = {"ports": [{"port": 80}]}
    assert SERVICES.update_errors({"spec": spec}, {"spec": spec, "status": status}, "status") == [
        "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
    ]
    spec = {**spec, "type": "LoadBalancer"}
    after, errors = SERVICES.updated({"spec": spec}, {"spec": spec, "status": status}, "status")
    assert not errors
    assert after["status"]["loadBalancer"]["ingress"] == [{"ip": "9.9.9.9", "ipMode": "VIP"}]
