"""Service: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_CIDR, BAD_IP, LABEL, QUALIFIED, SUBDOMAIN, without_metadata
from .servicecases import SERVICES, allocate, stored


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


def test_a_status_with_an_address_as_nobody_writes_it():
    body = {"status": {"loadBalancer": {"ingress": [{"hostname": "a"}, {"ip": "2001:db8:0::1"}]}}}
    (said,) = SERVICES.kind.warnings_on_status_update(body, body)
    assert said.startswith(
        'status.loadBalancer.ingress[1]: IPv6 address "2001:db8:0::1" should be in RFC 5952'
    )


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
