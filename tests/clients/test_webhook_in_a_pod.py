"""A webhook that runs in the cluster it has a say in: a pod's process behind a Service, with a certificate from a Secret."""

from __future__ import annotations

import base64
import sys
import time
from typing import Any

import pytest

from tests.egress.servers import Authority

kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed")

PATIENCE_SECONDS = 20
SERVER = """
import json, os, ssl
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = review["request"]["object"].get("data") or {}
        status = {"message": "there has to be an owner"}
        review["response"] = {"uid": review["request"]["uid"], "allowed": "owner" in data, "status": status}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = HTTPServer((os.environ["POD_IP"], 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
folder = os.environ.get("KNARR_ROOT", "") + "/certs"
context.load_cert_chain(folder + "/tls.crt", folder + "/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def base(text: bytes) -> str:
    return base64.b64encode(text).decode()


def objects(authority: Authority) -> list[dict[str, Any]]:
    certificate, key = authority.pair("owners.default.svc")
    labels = {"app": "owners"}
    container = {
        "name": "server",
        "image": "python",
        "command": [sys.executable, "-c", SERVER],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }
    return [
        {
            "kind": "Secret",
            "apiVersion": "v1",
            "metadata": {"name": "owners"},
            "type": "kubernetes.io/tls",
            "data": {"tls.crt": base(certificate), "tls.key": base(key)},
        },
        {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "owners", "labels": labels},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "certs", "secret": {"secretName": "owners"}}],
                "terminationGracePeriodSeconds": 0,
            },
        },
        {
            "kind": "Service",
            "apiVersion": "v1",
            "metadata": {"name": "owners"},
            "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": 8443}]},
        },
        {
            "kind": "ValidatingWebhookConfiguration",
            "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": "owners"},
            "webhooks": [
                {
                    "name": "owners.example.com",
                    "clientConfig": {
                        "service": {"name": "owners", "namespace": "default", "path": "/check"},
                        "caBundle": authority.bundle,
                    },
                    "rules": [
                        {
                            "operations": ["CREATE"],
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "resources": ["configmaps"],
                        }
                    ],
                    "namespaceSelector": {"matchLabels": {"owned": "yes"}},
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        },
    ]


def test_a_webhook_that_runs_in_the_cluster(machines):
    api = kubernetes.config.new_client_from_config(str(machines.kubeconfig))
    core = kubernetes.client.CoreV1Api(api)
    kubernetes.utils.create_from_dict(
        api, {"kind": "List", "apiVersion": "v1", "items": objects(Authority("pods"))}, namespace="default"
    )
    core.create_namespace({"metadata": {"name": "owned", "labels": {"owned": "yes"}}})
    deadline = time.monotonic() + PATIENCE_SECONDS
    owned = {"metadata": {"name": "a"}, "data": {"owner": "me"}}
    while True:
        try:
            core.create_namespaced_config_map("owned", owned)
            break
        except kubernetes.client.ApiException as error:  # nobody is behind the service yet
            assert "connection refused" in error.body and time.monotonic() < deadline, error.body
            time.sleep(0.05)
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.create_namespaced_config_map("owned", {"metadata": {"name": "b"}})
    assert "denied the request: there has to be an owner" in refused.value.body
    core.create_namespaced_config_map("default", {"metadata": {"name": "b"}})
    api.close()
