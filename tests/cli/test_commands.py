"""`knarr get`, `apply` and the rest, against a running cluster; what they print is what kubectl's users expect."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import yaml

from knarr.cli.main import main
from knarr.testing import TestCluster

from .conftest import Done

WEB = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web, tier: front}}
data: {mode: fast, text: "one\\ntwo\\n"}
---
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
      containers: [{name: main, image: "registry.example/web:1"}, {name: side, image: "registry.example/side:1"}]
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    cluster = TestCluster(tmp_path_factory.mktemp("cli"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def knarr(
    shared: TestCluster, request: pytest.FixtureRequest, monkeypatch: Any, capfd: Any
) -> Callable[..., Done]:
    """A command in a namespace of the test's own."""
    namespace = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    options = ["--kubeconfig", str(shared.kubeconfig), "-n", namespace]

    def run(*arguments: str, stdin: str = "", everywhere: bool = False) -> Done:
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([arguments[0], *(options[:2] if everywhere else options), *arguments[1:]])
        out, err = capfd.readouterr()
        return Done(ended.value.code, out, err)  # type: ignore[arg-type]

    made = run("apply", "-f", "-", stdin=json.dumps(namespace_of(namespace)), everywhere=True)
    assert made.code == 0, made
    return run


def namespace_of(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@pytest.fixture
def web(knarr: Callable[..., Done]) -> Callable[..., Done]:
    assert knarr("apply", "-f", "-", stdin=WEB).code == 0
    done = knarr("wait", "--for=condition=Available", "deploy/web")
    assert done == Done(0, "deployment.apps/web condition met\n", "")
    return knarr


def test_apply_says_what_it_did(knarr, tmp_path):
    (tmp_path / "app.yaml").write_text(WEB)
    (tmp_path / "notes.txt").write_text("not a manifest: [")
    steps = [
        knarr("apply", "-f", str(tmp_path)).out,
        knarr("apply", "-f", str(tmp_path / "app.yaml")).out,
        knarr("apply", "-f", "-", stdin=WEB.replace("fast", "slow")).out,
    ]
    assert steps == [
        "configmap/settings created\ndeployment.apps/web created\n",
        "configmap/settings unchanged\ndeployment.apps/web unchanged\n",
        "configmap/settings configured\ndeployment.apps/web unchanged\n",
    ]


def test_apply_dry_run_changes_nothing(knarr):
    assert (
        "configmap/settings created (server dry run)"
        in knarr("apply", "--dry-run=server", "-f", "-", stdin=WEB).out
    )
    assert knarr("get", "cm", "settings").code == 1


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("a: [", "error: error parsing stdin: line 2: did not find expected node content"),
        ("just text", "error: error parsing stdin: a document is no object but 'just text'"),
        ("kind: ConfigMap", "error: error validating stdin: apiVersion not set"),
        ("apiVersion: v1\nkind: ConfigMap", "error: error validating stdin: ConfigMap without metadata.name"),
        (
            "apiVersion: v1\nkind: ConfigMap\nkind: Secret",
            'error: error parsing stdin: line 3: key "kind" already set',
        ),
        (
            "apiVersion: x.example/v1\nkind: Boat\nmetadata: {name: a}",
            'error: no matches for kind "Boat" in version "x.example/v1" (stdin); where it is a custom resource, apply'
            " its CustomResourceDefinition first",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndate: {}",
            ": .date: field not declared in schema",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_B}",
            'The ConfigMap "A_B" is invalid: metadata.name: Invalid value: "A_B"',
        ),
    ],
)
def test_apply_refuses(knarr, manifest, said):
    done = knarr("apply", "-f", "-", stdin=manifest)
    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err


def test_apply_goes_on_after_a_refusal(knarr):
    bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_B}\n---\n"
    done = knarr("apply", "-f", "-", stdin=bad + WEB)
    assert done.code == 1
    assert done.out == "configmap/settings created\ndeployment.apps/web created\n"


def test_conflicts_name_the_way_out(knarr):
    knarr("apply", "-f", "-", stdin=WEB)
    done = knarr("apply", "--field-manager=other", "-f", "-", stdin=WEB.replace("fast", "slow"))
    assert 'conflict with "knarr": .data.mode' in done.err
    assert "--force-conflicts" in done.err
    again = knarr(
        "apply", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=WEB.replace("fast", "slow")
    )
    assert again.out.startswith("configmap/settings configured\n")


def test_get_tables(web):
    shown = web("get", "pods").out.splitlines()
    assert re.match(r"NAME +READY +STATUS +RESTARTS +AGE$", shown[0])
    assert all(re.match(r"web-\S+ +2/2 +Running +0 +\d+s$", line) for line in shown[1:3])
    assert "NOMINATED NODE" in web("get", "po", "-o", "wide").out
    assert web("get", "cm", "settings", "--show-labels").out.splitlines()[1].endswith("app=web,tier=front")
    assert web("get", "cm", "-L", "tier", "-l", "tier").out.splitlines()[1].endswith("   front")
    assert web("get", "deploy", "--no-headers").out.startswith("web ")


def test_get_several_types(web):
    shown = web("get", "deploy,cm").out
    assert "deployment.apps/web" in shown
    assert "\n\nNAME" in shown
    assert (
        web("get", "deploy/web", "cm/settings", "-o", "name").out
        == "deployment.apps/web\nconfigmap/settings\n"
    )
    assert "replicaset.apps/web-" in web("get", "all").out
    everywhere = web("get", "ns,pods", "-A").out
    assert "namespace/kube-system" in everywhere
    assert re.search(r"^test-get-several-types +pod/web-", everywhere, re.M)


def test_get_objects(web):
    obj = yaml.safe_load(web("get", "cm", "settings", "-o", "yaml").out)
    assert obj["data"] == {"mode": "fast", "text": "one\ntwo\n"}
    assert "managedFields" not in obj["metadata"]
    assert "text: |\n    one\n    two\n" in web("get", "cm", "settings", "-o", "yaml").out
    listed = json.loads(web("get", "cm", "-o", "json").out)
    assert (listed["kind"], listed["items"][0]["kind"]) == ("List", "ConfigMap")
    template = '{range .items[*]}{.metadata.name}{"\\n"}{end}'
    assert "settings\n" in web("get", "cm", "-o", f"jsonpath={template}").out
    columns = web("get", "cm", "settings", "-o", "custom-columns=N:.metadata.name,M:.data.mode,X:.x").out
    assert columns == "N          M      X\nsettings   fast   <none>\n"
    names = web("get", "pods", "--sort-by=.metadata.name", "-o", "name").out.split()
    assert names == sorted(names)


def test_get_what_is_not_there(web):
    assert web("get", "pods", "nobody").err == 'Error from server (NotFound): pods "nobody" not found\n'
    assert web("get", "pods", "nobody", "--ignore-not-found") == Done(0, "", "")
    assert web("get", "secrets").err == "No resources found in test-get-what-is-not-there namespace.\n"
    assert web("get", "boats").err == 'error: the server doesn\'t have a resource type "boats"\n'
    assert web("get", "pods", "-o", "xml").code == 2
    assert web("get", "pods", "-l", "==").err.startswith("Error from server (BadRequest)")


@pytest.mark.parametrize("name", ["pods", "pod", "po", "Pod", "pods.v1"])
def test_names_of_types(web, name):
    assert web("get", name, "-o", "name").out.startswith("pod/web-")


def test_types_with_a_group(web):
    for name in ("deployments.apps", "deploy.apps", "deployments.v1.apps", "deployment"):
        assert web("get", name, "-o", "name").out == "deployment.apps/web\n"


def test_delete(web):
    assert web("delete", "cm/settings").out == 'configmap "settings" deleted from test-delete namespace\n'
    assert (
        web("delete", "cm", "settings").err
        == 'Error from server (NotFound): configmaps "settings" not found\n'
    )
    assert web("delete", "pods").code == 2
    assert web("delete", "pods", "-l", "app=web", "--cascade=background").out.count("deleted") == 2
    done = web("delete", "-f", "-", "--ignore-not-found", stdin=WEB)
    assert done == Done(0, 'deployment.apps "web" deleted from test-delete namespace\n', "")
    assert web("wait", "--for=delete", "pods", "-l", "app=web").code == 0


def test_wait(web):
    assert web("wait", "--for=jsonpath={.spec.replicas}=2", "deploy/web").code == 0
    assert web("wait", "--for=condition=Progressing=false", "deploy/web", "--timeout=0s").err == (
        "error: timed out waiting for the condition on deployments/web\n"
    )
    assert web("wait", "--for=delete", "cm/nobody").code == 0
    assert web("wait", "--for=nonsense", "deploy/web").code == 2


def test_logs(web):
    done = web("logs", "deploy/web")
    assert "started" in done.out
    assert done.err.startswith('Defaulted container "main" out of: main, side')
    assert web("logs", "deploy/web", "-c", "side").err == ""
    assert web("logs", "deploy/web", "-c", "x").err.endswith("there is main, side\n")
    prefixed = web("logs", "-l", "app=web", "--prefix", "--all-containers").out.splitlines()
    assert len({line.split("]")[0] for line in prefixed}) == 4
    assert web("logs", "nobody").err == 'Error from server (NotFound): pods "nobody" not found\n'


def test_events_and_describe(web):
    assert "ScalingReplicaSet" in web("events").out
    only = web("events", "--for", "deploy/web", "--no-headers").out
    assert all("Deployment/web" in line for line in only.splitlines())
    shown = web("describe", "deploy", "web").out
    assert shown.startswith("Name:")
    assert re.search(r"\n  Type +Reason +Age +From +Message\n  ---- +------ +---- +---- +-------\n", shown)
    assert "ScalingReplicaSet" in shown
    assert "API Version:" in shown and re.search(r"\n +DNS Policy: +ClusterFirst\n", shown)
    assert re.search(r"\n +Match Labels: +app=web\n", shown)


def test_exec_tells_what_a_simulated_container_is(web):
    done = web("exec", "deploy/web", "-c", "main", "--", "true")
    assert done.code == 126
    assert "simulated" in done.err


def test_raw(knarr):
    assert knarr("get", "--raw", "/readyz").out == "ok"
    assert knarr("get", "--raw", "/nonsense").code == 1


def test_a_server_that_is_not_there(knarr, tmp_path):
    config = {
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    done = knarr("get", "--kubeconfig", str(tmp_path / "config"), "pods")
    assert done == Done(1, "", "error: cannot reach the server https://127.0.0.1:1: Connection refused\n")
    assert knarr("get", "--kubeconfig", str(tmp_path / "none"), "pods").err.endswith("no such kubeconfig\n")
