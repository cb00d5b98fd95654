"""Ingress of networking.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_IP, SUBDOMAIN, WILDCARD, Resource, without_metadata

INGRESSES = Resource("ingresses", "networking.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "host": "a.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            }
        },
        {
            "spec": {
                "rules": [
                    {
                        "host": "a.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            },
            "status": {"loadBalancer": {}},
        },
        id="ingress",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "host": "*.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            }
        },
        {
            "spec": {
                "rules": [
                    {
                        "host": "*.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            },
            "status": {"loadBalancer": {}},
        },
        id="host wildcard",
    ),
    pytest.param(
        {"spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}},
        {
            "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
            "status": {"loadBalancer": {}},
        },
        id="default only",
    ),
    pytest.param(
        {
            "metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "ingressClassName": "a",
            },
        },
        {
            "spec": {
                "ingressClassName": "a",
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
            },
            "status": {"loadBalancer": {}},
        },
        id="class and annotation",
    ),
    pytest.param(
        {
            "metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            },
        },
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            },
            "status": {"loadBalancer": {}},
        },
        id="class annotation warning",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(INGRESSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {}},
        ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        id="empty",
    ),
    pytest.param(
        {"spec": {"rules": [{"http": {"paths": []}}]}},
        ["spec.rules[0].http.paths: Required value"],
        id="no paths",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {"path": "/", "backend": {"service": {"name": "x", "port": {"number": 80}}}}
                            ]
                        }
                    }
                ]
            }
        },
        ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"],
        id="no path type",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Regex",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            }
        },
        [
            'spec.rules[0].http.paths[0].pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"'
        ],
        id="path type",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "a",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            }
        },
        ['spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path'],
        id="relative path",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/a//b",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            }
        },
        ["spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'"],
        id="double slash",
    ),
    pytest.param(
        {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}]}},
        ['spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required'],
        id="no backend",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "x"}}}
                            ]
                        }
                    }
                ]
            }
        },
        ["spec.rules[0].http.paths[0].backend: Required value: port name or number is required"],
        id="backend no port",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"name": "a", "number": 1}}},
                                }
                            ]
                        }
                    }
                ]
            }
        },
        ['spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both port name & port number'],
        id="backend both ports",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {
                                        "service": {"name": "x", "port": {"number": 80}},
                                        "resource": {"kind": "K", "name": "n"},
                                    },
                                }
                            ]
                        }
                    }
                ]
            }
        },
        [
            'spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both resource and service backends'
        ],
        id="backend both",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "host": "1.2.3.4",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            }
        },
        ['spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
        id="host ip",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "host": "a_b",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            }
        },
        [f'spec.rules[0].host: Invalid value: "a_b": {SUBDOMAIN}'],
        id="host bad",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "host": "a.*.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            }
        },
        [f'spec.rules[0].host: Invalid value: "a.*.example.com": {WILDCARD}'],
        id="host bad wildcard",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "tls": [{"hosts": ["bad host"]}],
            }
        },
        [f'spec.tls[0].hosts[0]: Invalid value: "bad host": {SUBDOMAIN}'],
        id="tls host",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "ingressClassName": "Bad Class",
            }
        },
        [f'spec.ingressClassName: Invalid value: "Bad Class": {SUBDOMAIN}'],
        id="class name",
    ),
    pytest.param(
        {
            "metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "ingressClassName": "b",
            },
        },
        [
            'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` when both are specified'
        ],
        id="class disagrees",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/a/..",
                                    "pathType": "Exact",
                                    "backend": {"resource": {"kind": "", "name": "n"}},
                                }
                            ]
                        }
                    }
                ]
            }
        },
        [
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a/..\": cannot end with '/..'",
            "spec.rules[0].http.paths[0].backend.resource.kind: Required value",
        ],
        id="bad ending",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "tls": [{"secretName": "S"}],
            }
        },
        [f'spec.tls[0].secretName: Invalid value: "S": {SUBDOMAIN}'],
        id="secret",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert INGRESSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "tls": [{"secretName": "S"}],
            }
        },
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ],
                "tls": [{"secretName": "S"}],
            }
        },
        [],
        id="what was bad may stay",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert INGRESSES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {
            "metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            },
        },
        [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ],
        id="class annotation warning",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert INGRESSES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                "ingressClassName": "x",
                "tls": [{"hosts": ["a.example.com"]}],
                "rules": [
                    {
                        "host": "a.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                    {
                        "host": "b.example.com",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                ],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "8.8.4.4"}]}},
        },
        ["a", "x", "a.example.com,b.example.com", "8.8.4.4", "80, 443", "120m"],
        id="two hosts",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        }
                    }
                ]
            }
        },
        ["a", "<none>", "*", "", "80", "120m"],
        id="any host",
    ),
    pytest.param(
        {
            "spec": {
                "rules": [
                    {
                        "host": "h0.x",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                    {
                        "host": "h1.x",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                    {
                        "host": "h2.x",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                    {
                        "host": "h3.x",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                    {
                        "host": "h4.x",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "x", "port": {"number": 80}}},
                                }
                            ]
                        },
                    },
                ]
            }
        },
        ["a", "<none>", "h0.x,h1.x,h2.x + 2 more...", "", "80", "120m"],
        id="many hosts",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert INGRESSES.row_of(body) == cells


def test_generation_counts_the_spec_only():
    after, _ = INGRESSES.updated({}, {"metadata": {"labels": {"a": "b"}}})
    assert after["metadata"]["generation"] == 1
    after, _ = INGRESSES.updated({}, {"spec": {"ingressClassName": "x"}})
    assert after["metadata"]["generation"] == 2


def test_status_addresses():
    status = {"loadBalancer": {"ingress": [{"ip": "x"}, {"hostname": "1.2.3.4"}]}}
    assert INGRESSES.update_errors({}, {"status": status}, "status") == [
        f'status.loadBalancer.ingress[0].ip: Invalid value: "x": {BAD_IP}',
        'status.loadBalancer.ingress[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
    ]
