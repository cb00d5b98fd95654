"""The verbs and flags of kubectl that test_kubectl.py leaves out: what each says, by rows of command and answer."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import OLDEST
from .rows import play

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.example/x:1", ports: [{containerPort: 80}]}]
"""
MAPS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: p1, labels: {set: a}}
data: {x: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: p2, labels: {set: a}}
data: {x: "1"}
"""
FIRST = MAPS.partition("---\n")[0]


@pytest.mark.kubectl(*OLDEST)
def test_every_generator(kubectl):
    play(
        kubectl,
        """
        create clusterrole NS --verb=get --resource=pods -> ^clusterrole.rbac.authorization.k8s.io/NS created
        create clusterrole NS-url --verb=get --non-resource-url=/logs/* -> created
        create clusterrole NS-sum --aggregation-rule=knarr.example/NS=yes -> created
        create clusterrolebinding NS --clusterrole=NS --user=u --group=g --serviceaccount=NS:default -> created
        create role r --verb=get --resource=pods,deployments.apps --resource-name=x -> created
        create rolebinding rb --role=r --user=u -> ^rolebinding.rbac.authorization.k8s.io/rb created
        create secret docker-registry reg --docker-username=u --docker-password=p -> ^secret/reg created
        create cronjob cj --image=i --schedule="0 0 1 1 *" -> ^cronjob.batch/cj created
        create job once --from=cronjob/cj -> ^job.batch/once created
        create deployment d --image=i --port=80 -> ^deployment.apps/d created
        create ingress ing --rule=a.b/c=svc:8080,tls=sec --class=k --default-backend=d:80 -> ingress.+ created
        create pdb p --selector=app=d --min-available=1 -> ^poddisruptionbudget.policy/p created
        create priorityclass NS --value=5 --description=d -> ^priorityclass.scheduling.k8s.io/NS created
        create service clusterip ci --tcp=80:80 -> ^service/ci created
        create service nodeport np --tcp=80 -> ^service/np created
        create service loadbalancer lb --tcp=80 -> ^service/lb created
        create service externalname en --external-name=a.b -> ^service/en created
        run alone --image=i --restart=Never --labels=x=y --env=A=b --port=80 --expose -> ^pod/alone created
        get pods -l x=y -o name -> ^pod/alone$
        get svc np lb en -> LoadBalancer +10\\.\\S+ +<pending> +80:3\\d{4}/TCP
        get ing ing -> ^ing +k +a\\.b +80, 443
        get rolebinding rb -o wide -> ^rb +Role/r +\\S+ +u
        ! create deployment d --image=i -> ^error: failed to create deployment: deployments.apps "d" already exists
        ! create quota q --hard=nonsense -> [Ii]nvalid
        ! create role broken --verb=get --resource=nonsense -> the server doesn't have a resource type "nonsense"
        delete clusterrole NS NS-url NS-sum -> deleted
        delete clusterrolebinding NS -> deleted
        delete priorityclass NS -> deleted
        """,
    )
    aggregated = json.loads(kubectl("get", "ing", "ing", "-o", "json"))["spec"]
    assert aggregated["defaultBackend"]["service"] == {"name": "d", "port": {"number": 80}}


@pytest.mark.kubectl(*OLDEST)
def test_get_prints_in_every_format(kubectl):
    kubectl.apply(MAPS)
    play(
        kubectl,
        """
        get cm -l set=a -o jsonpath='{.items[*].metadata.name}' -> ^p1 p2$
        get cm -l set=a -o go-template='{{range .items}}{{.metadata.name}};{{end}}' -> ^p1;p2;$
        get cm -l set=a -o custom-columns=N:.metadata.name,X:.data.x -> ^N +X\\np1 +1\\np2 +1
        get cm -l set=a -o jsonpath-as-json='{.items[*].data}' -> "x": "1"
        get cm p1 -o yaml --show-managed-fields -> manager: kubectl-client-side-apply
        get cm -l set=a --show-kind --no-headers -> ^configmap/p1 +1
        get cm -l set=a --chunk-size=1 -> ^p2 +1
        get cm -l set=a -L set -> SET\\np1 +1 +\\d+s +a
        get configmaps.v1. p1 -> ^p1
        get cm p1 p2 -o name -> ^configmap/p1\\nconfigmap/p2
        get cm,secret -l set=a -> ^configmap/p1
        ! get cm p1 nope -> ^Error from server \\(NotFound\\): configmaps "nope" not found
        ! get pods --field-selector=foo=bar -> field label not supported: foo
        ! get pods -l 'a in (b' -> unable to parse requirement: found '', expected: ',' or '\\)'
        get --raw /api/v1/namespaces/NS/configmaps/p1 -> ^\\{"kind":"ConfigMap","apiVersion":"v1"
        """,
    )


@pytest.mark.kubectl(*OLDEST)
def test_apply_prunes_what_the_files_no_longer_name(kubectl):
    prune = ("apply", "--prune", "-l", "set=a", "--prune-allowlist=core/v1/ConfigMap", "-f", "-")
    kubectl(*prune, stdin=MAPS)
    dry = kubectl(*prune, "--dry-run=server", stdin=FIRST)
    assert dry == "configmap/p1 unchanged (server dry run)\nconfigmap/p2 pruned (server dry run)\n"
    assert kubectl(*prune, stdin=FIRST) == "configmap/p1 unchanged\nconfigmap/p2 pruned\n"


@pytest.mark.kubectl(1, 29)
def test_an_apply_set(kubectl):
    applying = ("apply", "--prune", "--applyset=secret/mine", "-f", "-")
    enabled = {"KUBECTL_APPLYSET": "true"}
    assert "configmap/p2 created" in kubectl(*applying, stdin=MAPS, **enabled)
    assert "configmap/p2 pruned" in kubectl(*applying, stdin=FIRST, **enabled)
    parent = json.loads(kubectl("get", "secret", "mine", "-o", "json"))["metadata"]
    assert parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap"


def test_the_last_applied_configuration(kubectl, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i.bak "s/x: .1./x: \\"2\\"/" "$1"\n')
    editor.chmod(0o755)
    kubectl.apply(FIRST)
    assert 'x: "1"' in kubectl("apply", "view-last-applied", "cm/p1")
    said = kubectl("apply", "edit-last-applied", "cm/p1", KUBE_EDITOR=str(editor))
    assert said == "configmap/p1 edited\n"
    assert 'x: "2"' in kubectl("apply", "view-last-applied", "cm/p1")
    assert kubectl("apply", "set-last-applied", "-f", "-", stdin=FIRST) == "configmap/p1 configured\n"
    assert 'x: "1"' in kubectl("apply", "view-last-applied", "cm/p1")


@pytest.mark.kubectl(*OLDEST)
def test_from_client_side_to_server_side_apply(kubectl):
    """kubectl takes the fields over from the manager of its client-side apply."""
    kubectl.apply(MAPS)
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=MAPS)
    assert "serverside-applied" in kubectl(
        "apply", "--server-side", "-f", "-", stdin=FIRST.replace('"1"', '"5"')
    )
    managers = json.loads(kubectl("get", "cm", "p1", "-o", "json", "--show-managed-fields"))["metadata"][
        "managedFields"
    ]
    assert "kubectl" in {entry["manager"] for entry in managers}
    assert "kubectl-client-side-apply" not in {entry["manager"] for entry in managers}
    assert kubectl("diff", "--server-side", "-f", "-", stdin=FIRST.replace('"1"', '"5"')) == ""


def test_replace_patch_label_annotate_and_their_refusals(kubectl):
    kubectl.apply(FIRST)
    assert kubectl("replace", "--force", "-f", "-", stdin=FIRST).splitlines()[-1] == "configmap/p1 replaced"
    play(
        kubectl,
        """
        patch cm p1 --type=merge -p '{"data":{"y":"2"}}' -> ^configmap/p1 patched$
        patch cm p1 --type=merge -p '{}' -> ^configmap/p1 patched \\(no change\\)$
        ! patch cm p1 --type=json -p '[{"op":"test","path":"/data/x","value":"z"}]' -> ^The request is invalid
        ! patch cm p1 -p nonsense -> cannot unmarshal string into Go value of type map\\[string\\]interface \\{\\}
        patch cm p1 --dry-run=server --type=merge -p '{"data":{"z":"1"}}' -o jsonpath={.data.z} -> ^1$
        get cm p1 -o jsonpath={.data} -> ^\\{"x":"1","y":"2"\\}$
        label cm --all z=1 --overwrite -> ^configmap/p1 labeled$
        ! label cm p1 a='bad value' -> invalid label value
        ! label cm p1 'bad key=1' -> name part must consist of alphanumeric characters
        label cm p1 --list -> ^z=1$
        annotate cm p1 note=x -> ^configmap/p1 annotate
        ! annotate cm p1 note=y -> --overwrite is false but found the following declared annotation
        annotate cm p1 note- -> ^configmap/p1 annotate
        """,
    )


def test_set_changes_one_thing(kubectl):
    kubectl("create", "deployment", "d", "--image=i")
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "r", "--verb=get", "--resource=pods")
    kubectl("create", "rolebinding", "rb", "--role=r", "--user=u")
    kubectl("create", "service", "clusterip", "s", "--tcp=80")
    play(
        kubectl,
        """
        set env deploy/d A=b -> ^deployment.apps/d env updated$
        set env deploy/d --list -> ^A=b$
        set resources deploy/d --limits=cpu=200m,memory=64Mi -> ^deployment.apps/d resource requirements updated$
        set serviceaccount deploy d robot -> ^deployment.apps/d serviceaccount updated$
        set selector svc s app=zz -> ^service/s selector updated$
        set subject rolebinding rb --user=bob --group=devs -> subjects updated$
        get rolebinding rb -o jsonpath='{.subjects[*].name}' -> u bob devs
        get deploy d -o jsonpath='{..limits}' -> ^\\{"cpu":"200m","memory":"64Mi"\\}$
        """,
    )


def test_auth_reconcile_and_can_i(kubectl):
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "rec", "namespace": kubectl.namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    made = kubectl("auth", "reconcile", "-f", "-", stdin=json.dumps(role))
    assert "role.rbac.authorization.k8s.io/rec reconciled" in made
    role["rules"][0]["verbs"] = ["list"]
    kubectl("auth", "reconcile", "-f", "-", stdin=json.dumps(role))
    play(
        kubectl,
        """
        get role rec -o jsonpath={.rules[*].verbs} -> "get".+"list"
        auth can-i get pods/log -> ^yes$
        auth can-i get /healthz -> ^yes$
        ! auth can-i get pods --as=system:serviceaccount:NS:default -> ^no
        """,
    )


@pytest.mark.kubectl(*OLDEST)
def test_certificates(kubectl, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a request with")
    key, request = tmp_path / "key", tmp_path / "request"
    command = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=jane/O=dev",
    ]
    subprocess.run([*command, "-keyout", key, "-out", request], check=True, capture_output=True)
    csr = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": kubectl.namespace},
        "spec": {
            "request": base64.b64encode(request.read_bytes()).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
            "expirationSeconds": 3600,
        },
    }
    kubectl("create", "-f", "-", stdin=json.dumps(csr))
    play(
        kubectl,
        """
        get csr NS -> 60m +Pending
        describe csr NS -> Common Name: +jane
        certificate approve NS -> ^certificatesigningrequest.certificates.k8s.io/NS approved$
        wait csr/NS --for=jsonpath={.status.certificate} --timeout=10s -> condition met
        get csr NS -> Approved,Issued
        ! certificate deny NS -> already Approved
        delete csr NS -> deleted
        """,
    )


@pytest.mark.kubectl(*OLDEST)
def test_describe_of_every_kind(kubectl):
    """One object of each kind that users make, described."""
    kubectl.apply((Path(__file__).parent / "kinds.yaml").read_text())
    kubectl("create", "-f", "-", stdin=POD)
    shown = kubectl(
        "describe", "all,ing,cm,sa,netpol,pvc,quota,limits,pdb,podtemplates,leases,resourceclaims"
    )
    for name in ("pvc1", "np", "lr", "rq", "rc", "pt", "ds", "ss", "cj", "hpa", "pdb", "ing", "l", "rclaim"):
        assert re.search(rf"^Name: +{name}$", shown, re.M), name
    wide = kubectl(
        "describe",
        "nodes,ns,pv,sc,pc,ingressclasses,runtimeclass,csidrivers,validatingadmissionpolicy,deviceclass,clusterrole",
    )
    for name in (
        "test-node-0",
        "default",
        "pv1",
        "slow",
        "pcx",
        "ic",
        "rtc",
        "csi.example.com",
        "vap",
        "dc",
        "view",
    ):
        assert re.search(rf"^Name: +{name}$", wide, re.M), name
    kubectl("delete", "-f", str(Path(__file__).parent / "kinds.yaml"), "--wait=false")


@pytest.mark.kubectl(*OLDEST)
def test_dump_proxy_top_and_explain(kubectl, tmp_path):
    kubectl("create", "-f", "-", stdin=POD)
    kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=20s")
    dump = tmp_path / "dump"
    kubectl("cluster-info", "dump", f"--namespaces={kubectl.namespace}", f"--output-directory={dump}")
    assert json.loads((dump / kubectl.namespace / "pods.json").read_text())["kind"] == "PodList"
    assert "started" in (dump / kubectl.namespace / "box" / "logs.txt").read_text()
    play(
        kubectl,
        """
        ! top nodes -> Metrics API not available
        explain pods.spec.containers --output=plaintext-openapiv2 -> ^   livenessProbe\\s+<Object>
        events --for pod/box -> Scheduled
        get --raw /api/v1/nodes/test-node-0/proxy/healthz -> ^ok
        api-resources --api-group=batch -> ^cronjobs +cj +batch/v1 +true +CronJob
        api-resources --verbs=list --namespaced=false -o name -> ^nodes$
        config view --minify -o jsonpath={.clusters[0].cluster.server} -> ^https://127
        version -> Server Version: v1\\.36
        """,
    )
    proxy = kubectl.start("proxy", "--port=0")
    assert proxy.stdout is not None
    port = proxy.stdout.readline().rpartition(":")[2].strip()
    import urllib.request

    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/v1/namespaces/{kubectl.namespace}/pods"
        ) as pods:
            assert json.load(pods)["items"][0]["metadata"]["name"] == "box"
    finally:
        proxy.kill()
        proxy.communicate()


def test_kustomize(kubectl, tmp_path):
    (tmp_path / "kustomization.yaml").write_text("namePrefix: my-\nresources: [maps.yaml]\n")
    (tmp_path / "maps.yaml").write_text(MAPS)
    assert "configmap/my-p1 created" in kubectl("apply", "-k", str(tmp_path))
    assert "name: my-p2" in kubectl("kustomize", str(tmp_path))
    assert 'configmap "my-p1" deleted' in kubectl("delete", "-k", str(tmp_path))


def test_delete_in_its_ways(kubectl):
    kubectl.apply(MAPS)
    play(
        kubectl,
        """
        delete cm p1 --dry-run=server -> deleted \\(server dry run\\)
        delete cm p1 -o name -> ^configmap/p1$
        delete cm p1 --ignore-not-found -> ^$
        ! delete cm p1 -> ^Error from server \\(NotFound\\): configmaps "p1" not found
        delete cm -l set=nobody -> ^No resources found
        delete cm --field-selector=metadata.name=p2 -> ^configmap "p2" deleted
        delete --raw /api/v1/namespaces/NS/configmaps/kube-root-ca.crt -> "status":"Success"
        """,
    )
