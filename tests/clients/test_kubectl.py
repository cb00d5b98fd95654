"""kubectl's verbs, one by one, as a user types them."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import OLDEST, Kubectl

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: web, image: "registry.example/web:1", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def field(kubectl: Kubectl, resource: str, path: str) -> str:
    return kubectl("get", resource, "-o", f"jsonpath={path}")


def settled(kubectl: Kubectl) -> None:
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """With the app applied and running."""
    kubectl.apply(WEB)
    settled(kubectl)
    return kubectl


def test_apply_says_what_it_did(kubectl):
    assert kubectl.apply(WEB) == "deployment.apps/web created\nservice/web created\n"
    assert kubectl.apply(WEB) == "deployment.apps/web unchanged\nservice/web unchanged\n"
    assert kubectl.apply(WEB.replace("replicas: 2", "replicas: 1")) == (
        "deployment.apps/web configured\nservice/web unchanged\n"
    )


def test_apply_of_the_example_app(kubectl, manifests):
    shown = kubectl("apply", "-f", str(manifests / "app.yaml"))
    assert len(re.findall(r" created$", shown, re.M)) == 6
    kubectl("wait", "--for=condition=Available", "deployment/greeter", "--timeout=30s")
    kubectl("wait", "--for=condition=Complete", "job/prepare", "--timeout=30s")


def test_server_side_apply_and_its_conflicts(kubectl):
    assert kubectl("apply", "--server-side", "-f", "-", stdin=WEB).splitlines() == [
        "deployment.apps/web serverside-applied",
        "service/web serverside-applied",
    ]
    other = WEB.replace("replicas: 2", "replicas: 5")
    said = kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other, code=1)
    assert 'conflict with "kubectl": .spec.replicas' in said
    kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=other)
    assert field(kubectl, "deploy/web", "{.spec.replicas}") == "5"


def test_get_in_all_its_looks(web):
    assert re.match(r"NAME +READY +STATUS +RESTARTS +AGE\nweb-\S+ +1/1 +Running +0 ", web("get", "pods"))
    wide = web("get", "pods", "-o", "wide")
    assert "NOMINATED NODE" in wide
    assert re.search(r"test-node-\d", wide)
    assert web("get", "deploy,svc", "-o", "name") == "deployment.apps/web\nservice/web\n"
    assert "app=web" in web("get", "pods", "--show-labels")
    assert web("get", "pods", "-l", "app!=web") == f"No resources found in {web.namespace} namespace.\n"
    assert len(web("get", "pods", "--field-selector=status.phase=Running", "--no-headers").splitlines()) == 2
    listed = json.loads(web("get", "all", "-o", "json"))
    assert {item["kind"] for item in listed["items"]} == {"Pod", "Service", "Deployment", "ReplicaSet"}
    assert web("get", "pod", "nobody", code=1) == 'Error from server (NotFound): pods "nobody" not found\n'
    assert "the server doesn't have a resource type" in web("get", "nonsense", code=1)
    sorted_names = web("get", "pods", "--sort-by=.metadata.name", "-o", "name").split()
    assert sorted_names == sorted(sorted_names)


def test_get_across_namespaces(web):
    shown = web("get", "nodes,pods", "-A")
    assert "node/test-node-0" in shown
    assert re.search(rf"^{web.namespace} +pod/web-", shown, re.M)


def test_watch(web):
    watching = web.start("get", "deploy/web", "-w", "--request-timeout=3s")
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("NAME")
    assert "2/2" in watching.stdout.readline()
    web("scale", "deploy/web", "--replicas=3")
    seen = watching.stdout.read()
    watching.wait()
    assert "3/3" in seen


def test_describe(web):
    shown = web("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in shown
    assert "Scaled up replica set" in shown
    pods = web("describe", "pods", "-l", "app=web")
    assert "Successfully assigned" in pods
    assert "Endpoints:" in web("describe", "service", "web")
    assert "Ready" in web("describe", "node", "test-node-0")


def test_scale(web):
    assert web("scale", "deployment/web", "--replicas=4") == "deployment.apps/web scaled\n"
    settled(web)
    assert field(web, "deploy/web", "{.status.readyReplicas}") == "4"
    assert "error: Expected replicas to be 9" in web(
        "scale", "deployment/web", "--current-replicas=9", "--replicas=1", code=1
    )


def test_set_image_and_rollout_history(web):
    assert web("set", "image", "deployment/web", "web=registry.example/web:2") == (
        "deployment.apps/web image updated\n"
    )
    settled(web)
    history = web("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    assert "registry.example/web:2" in web("rollout", "history", "deployment/web", "--revision=2")
    assert web("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back\n"
    settled(web)
    assert field(web, "deploy/web", "{..image}") == "registry.example/web:1"
    assert web("rollout", "undo", "deployment/web", "--to-revision=2") == "deployment.apps/web rolled back\n"


def test_rollout_pause_and_resume(web):
    assert web("rollout", "pause", "deployment/web") == "deployment.apps/web paused\n"
    web("set", "image", "deployment/web", "web=registry.example/web:2")
    assert "already paused" in web("rollout", "pause", "deployment/web", code=1)
    assert field(web, "rs", "{.items[*].spec.template.spec.containers[0].image}") == "registry.example/web:1"
    assert web("rollout", "resume", "deployment/web") == "deployment.apps/web resumed\n"
    settled(web)
    assert sorted(field(web, "rs", "{.items[*].spec.replicas}").split()) == ["0", "2"]


def test_rollout_restart(web):
    before = set(web("get", "pods", "-o", "name").split())
    assert web("rollout", "restart", "deployment/web") == "deployment.apps/web restarted\n"
    settled(web)
    after = set(web("get", "pods", "-o", "name", "--field-selector=status.phase=Running").split())
    assert before.isdisjoint(after)


@pytest.mark.kubectl(*OLDEST)
def test_explain(kubectl):
    assert "Number of desired pods" in kubectl("explain", "deployment.spec.replicas")
    recursive = kubectl("explain", "--recursive", "pods")
    assert "ephemeralContainers" in recursive
    assert recursive.count("\n") > 500
    assert "schedule" in kubectl("explain", "cronjobs.spec", "--api-version=batch/v1")
    assert "does not exist" in kubectl("explain", "pods.spec.nonsense", code=1)


def test_api_resources_and_versions(kubectl):
    shown = kubectl("api-resources", "--namespaced=true", "-o", "name").split()
    assert {"pods", "deployments.apps", "cronjobs.batch", "leases.coordination.k8s.io"} <= set(shown)
    assert "nodes" not in shown
    assert "apps/v1" in kubectl("api-versions").split()


def test_auth(kubectl):
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    said = kubectl("auth", "can-i", "create", "pods", "--as=nobody", code=1)
    assert said.strip().endswith("no")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=nobody")
    assert kubectl("auth", "can-i", "list", "pods", "--as=nobody") == "yes\n"
    assert re.search(r"pods +\[\] +\[\] +\[get list\]", kubectl("auth", "can-i", "--list", "--as=nobody"))
    refused = kubectl("get", "secrets", "--as=nobody", code=1)
    assert refused == (
        'Error from server (Forbidden): secrets is forbidden: User "nobody" cannot list resource "secrets" in API'
        f' group "" in the namespace "{kubectl.namespace}"\n'
    )


@pytest.mark.kubectl(*OLDEST)
def test_whoami(kubectl):
    assert "kubernetes-admin" in kubectl("auth", "whoami")


@pytest.mark.kubectl(*OLDEST)
def test_wait(web):
    assert web("wait", "--for=condition=Available", "deployment/web", "--timeout=10s") == (
        "deployment.apps/web condition met\n"
    )
    waiting = web.start("wait", "--for=delete", "service/web", "--timeout=20s")
    web("delete", "service", "web")
    assert waiting.wait() == 0
    assert waiting.stdout is not None
    waiting.stdout.close()
    assert "timed out waiting for the condition" in web(
        "wait", "--for=condition=Nonsense", "deployment/web", "--timeout=1s", code=1
    )


@pytest.mark.kubectl(*OLDEST)
def test_wait_for_a_field(web):
    web("wait", "--for=jsonpath={.status.readyReplicas}=2", "deployment/web", "--timeout=10s")


@pytest.mark.kubectl(*OLDEST)
def test_edit(web, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i.bak "s/replicas: 2/replicas: 3/" "$1"\n')
    editor.chmod(0o755)
    assert web("edit", "deployment/web", KUBE_EDITOR=str(editor)) == "deployment.apps/web edited\n"
    assert field(web, "deploy/web", "{.spec.replicas}") == "3"


@pytest.mark.kubectl(*OLDEST)
def test_label_and_annotate(web):
    assert web("label", "deploy/web", "tier=front") == "deployment.apps/web labeled\n"
    assert "already has a value" in web("label", "deploy/web", "tier=back", code=1)
    web("label", "--overwrite", "deploy/web", "tier=back")
    assert web("get", "deploy", "-L", "tier").splitlines()[1].split()[-1] == "back"
    assert web("label", "deploy/web", "tier-") == "deployment.apps/web unlabeled\n"
    assert web("annotate", "deploy/web", "note=hello world") == "deployment.apps/web annotated\n"
    assert field(web, "deploy/web", "{.metadata.annotations.note}") == "hello world"


@pytest.mark.kubectl(*OLDEST)
def test_diff(web):
    changed = web("diff", "-f", "-", stdin=WEB.replace("replicas: 2", "replicas: 7"), code=1)
    assert re.search(r"^-  replicas: 2$", changed, re.M)
    assert re.search(r"^\+  replicas: 7$", changed, re.M)
    assert web("diff", "-f", "-", stdin=WEB) == ""


def test_patch_and_replace(web):
    web("patch", "deploy/web", "--type=merge", "-p", '{"metadata":{"labels":{"merged":"yes"}}}')
    web(
        "patch",
        "deploy/web",
        "--type=json",
        "-p",
        '[{"op":"add","path":"/metadata/labels/jsoned","value":"yes"}]',
    )
    web(
        "patch",
        "deploy/web",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"web","tty":true}]}}}}',
    )
    obj = json.loads(web("get", "deploy/web", "-o", "json"))
    assert obj["metadata"]["labels"] == {"app": "web", "merged": "yes", "jsoned": "yes"}
    (container,) = obj["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["tty"]) == ("registry.example/web:1", True)
    obj["spec"]["replicas"] = 1
    obj["metadata"]["resourceVersion"] = "1"
    assert "the object has been modified" in web("replace", "-f", "-", stdin=json.dumps(obj), code=1)
    del obj["metadata"]["resourceVersion"]
    assert web("replace", "-f", "-", stdin=json.dumps(obj)) == "deployment.apps/web replaced\n"


@pytest.mark.kubectl(*OLDEST)
def test_create_token(kubectl):
    kubectl("create", "serviceaccount", "robot")
    token = kubectl("create", "token", "robot", "--duration=10m").strip()
    kubectl(
        "create",
        "clusterrolebinding",
        "robot",
        "--clusterrole=view",
        f"--serviceaccount={kubectl.namespace}:robot",
    )
    import ssl
    import urllib.request

    context = ssl._create_unverified_context()
    request = urllib.request.Request(
        f"{kubectl.cluster.url}/api/v1/namespaces/{kubectl.namespace}/pods",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, context=context) as answer:
        assert json.load(answer)["kind"] == "PodList"


@pytest.mark.kubectl(*OLDEST)
def test_create_generators(kubectl):
    kubectl("create", "configmap", "settings", "--from-literal=a=1", "--from-literal=b=2")
    kubectl("create", "secret", "generic", "password", "--from-literal=word=sesame")
    kubectl("create", "deployment", "made", "--image=registry.example/x:1", "--replicas=2")
    kubectl("create", "job", "once", "--image=registry.example/x:1")
    kubectl("create", "cronjob", "often", "--image=registry.example/x:1", "--schedule=*/5 * * * *")
    kubectl("create", "quota", "limits", "--hard=pods=50")
    kubectl("expose", "deployment", "made", "--port=80")
    kubectl("autoscale", "deployment", "made", "--max=5")
    kubectl("run", "alone", "--image=registry.example/x:1", "--restart=Never")
    assert field(kubectl, "secret/password", "{.data.word}") == "c2VzYW1l"
    assert kubectl("get", "hpa/made", "pod/alone", "-o", "name").split() == [
        "horizontalpodautoscaler.autoscaling/made",
        "pod/alone",
    ]


@pytest.mark.kubectl(*OLDEST)
def test_nodes_cordon_taint_drain(cluster_factory, in_namespace):
    """In a cluster of its own: a drain takes everybody's pods along."""
    web = in_namespace(cluster_factory(nodes=2))
    web.apply(WEB)
    settled(web)
    assert "cordoned" in web("cordon", "test-node-1")
    assert "SchedulingDisabled" in web("get", "node", "test-node-1")
    assert "uncordoned" in web("uncordon", "test-node-1")
    assert "tainted" in web("taint", "node", "test-node-1", "kind=special:NoSchedule")
    assert "untainted" in web("taint", "node", "test-node-1", "kind-")
    drained = web(
        "drain", "test-node-1", "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=30s"
    )
    assert "drained" in drained
    settled(web)
    nodes = field(web, "pods", "{.items[*].spec.nodeName}").split()
    assert set(nodes) == {"test-node-0"}
    web("uncordon", "test-node-1")


@pytest.mark.parametrize("cascade", ["background", "foreground"])
@pytest.mark.kubectl(*OLDEST)
def test_delete_takes_the_owned_along(web, cascade):
    assert 'deployment.apps "web" deleted' in web("delete", "deployment", "web", f"--cascade={cascade}")
    web("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=20s")
    assert "No resources found" in web("get", "rs,pods")


@pytest.mark.kubectl(1, 20)
def test_delete_orphans(web):
    web("delete", "deployment", "web", "--cascade=orphan")
    (replica_set,) = json.loads(web("get", "rs", "-o", "json"))["items"]
    assert "ownerReferences" not in replica_set["metadata"]
    assert len(web("get", "pods", "-o", "name").split()) == 2


def test_delete_by_file_label_and_force(web):
    pod = web("get", "pods", "-o", "name").split()[0]
    assert "force deleted" in web("delete", pod, "--grace-period=0", "--force")
    assert 'service "web" deleted' in web("delete", "services", "-l", "app=web")
    shown = web("delete", "-f", "-", "--ignore-not-found", stdin=WEB)
    assert shown.startswith('deployment.apps "web" deleted')


def test_delete_namespace(web):
    web("delete", "namespace", web.namespace, "--timeout=40s")
    assert "NotFound" in web("get", "namespace", web.namespace, code=1)


def test_logs_of_a_simulated_pod(web):
    pod = web("get", "pods", "-o", "name").split()[0]
    assert "started" in web("logs", pod)
    assert web("logs", pod, "--tail=0") == ""
    assert re.match(r"\d{4}-\d\d-\d\dT", web("logs", pod, "--timestamps"))
    assert "container nobody is not valid for pod" in web("logs", pod, "-c", "nobody", code=1)


@pytest.mark.kubectl(*OLDEST)
def test_events(web):
    shown = web("events")
    assert "ScalingReplicaSet" in shown
    assert "Scheduled" in web("events", "--for", web("get", "pods", "-o", "name").split()[0])


def test_custom_resources(kubectl):
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ships.knarr.example"},
        "spec": {
            "group": "knarr.example",
            "scope": "Namespaced",
            "names": {"plural": "ships", "singular": "ship", "kind": "Ship", "shortNames": ["sh"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {"name": "Crew", "type": "integer", "jsonPath": ".spec.crew"}
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "required": ["crew"],
                                    "properties": {
                                        "crew": {"type": "integer", "minimum": 1, "description": "Hands."}
                                    },
                                }
                            },
                        }
                    },
                }
            ],
        },
    }
    ship = {
        "apiVersion": "knarr.example/v1",
        "kind": "Ship",
        "metadata": {"name": "one"},
        "spec": {"crew": 9},
    }
    kubectl.apply(json.dumps(definition))
    kubectl("wait", "--for=condition=Established", "crd/ships.knarr.example", "--timeout=20s")
    assert kubectl.apply(json.dumps(ship)) == "ship.knarr.example/one created\n"
    assert re.search(r"NAME +CREW\none +9", kubectl("get", "sh"))
    refused = kubectl("apply", "-f", "-", stdin=json.dumps({**ship, "spec": {"crew": 0}}), code=1)
    assert "spec.crew: Invalid value: 0: spec.crew in body should be greater than or equal to 1" in refused
    kubectl("delete", "ship", "one")
    kubectl("delete", "crd", "ships.knarr.example")


def test_what_is_wrong_is_told_as_by_kubernetes(kubectl):
    said = kubectl("apply", "-f", "-", stdin=WEB.replace("app: web}}", "app: other}}", 2), code=1)
    assert "`selector` does not match template `labels`" in said
    kubectl.apply(WEB)
    said = kubectl(
        "apply", "-f", "-", stdin=WEB.replace("matchLabels: {app: web}", "matchLabels: {app: new}"), code=1
    )
    assert "is invalid" in said


@pytest.mark.kubectl(*OLDEST)
def test_unknown_fields_are_refused(kubectl):
    said = kubectl("apply", "-f", "-", stdin=WEB.replace("replicas:", "replcas:"), code=1)
    assert 'unknown field "spec.replcas"' in said


def test_cluster_info_and_raw(kubectl):
    assert f"Kubernetes control plane is running at {kubectl.cluster.url}" in re.sub(
        r"\x1b\[[0-9;]*m", "", kubectl("cluster-info")
    )
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert json.loads(kubectl("get", "--raw", "/version"))["major"] == "1"
    assert "apiserver_request_total" in kubectl("get", "--raw", "/metrics")
    assert kubectl("get", "--raw", "/nonsense", code=1).startswith("Error from server (NotFound)")
