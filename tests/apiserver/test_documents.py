"""Discovery, OpenAPI, and the pages beside them: consistent in themselves, and equal to the recorded ones."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knarr.api import protobuf
from knarr.api.resources import RESOURCES
from knarr.apiserver.openapi import documents, top
from knarr.meta.versions import version_priority

from .conftest import Server

DOCS = Path(__file__).parents[3] / "shared/parity/docs"
recorded = pytest.mark.skipif(not DOCS.is_dir(), reason="../shared/parity/docs is not here")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def load(path: Path) -> Any:
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


# -- discovery ---------------------------------------------------------------------------------------------


def test_every_group_leads_to_its_versions_and_every_version_to_its_resources(serve: Server):
    assert serve.get("/api").json["versions"] == ["v1"]
    core = serve.get("/api/v1").json
    assert (core["kind"], core["groupVersion"]) == ("APIResourceList", "v1") and "apiVersion" not in core
    pods = next(r for r in core["resources"] if r["name"] == "pods")
    assert pods["shortNames"] == ["po"] and pods["categories"] == ["all"] and pods["namespaced"]
    assert pods["verbs"] == sorted(pods["verbs"]) and "watch" in pods["verbs"]
    groups = serve.get("/apis").json["groups"]
    assert [g["name"] for g in groups][:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    for group in groups:
        assert serve.get(f"/apis/{group['name']}").json == {"kind": "APIGroup", "apiVersion": "v1", **group}
        assert group["preferredVersion"] == group["versions"][0]
        for version in group["versions"]:
            listed = serve.get(f"/apis/{version['groupVersion']}").json
            assert listed["groupVersion"] == version["groupVersion"] and listed["resources"]


def test_the_two_forms_of_discovery_say_the_same(serve: Server):
    for root in ("/api", "/apis"):
        answer = serve.get(root, AGGREGATED)
        assert answer.headers["content-type"] == AGGREGATED
        for group in answer.json["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                legacy = {r["name"]: r for r in serve.get(path).json["resources"]}
                seen = set()
                for resource in version["resources"]:
                    plain = legacy[resource["resource"]]
                    seen.add(plain["name"])
                    assert plain["verbs"] == resource["verbs"]
                    assert plain["singularName"] == resource["singularResource"]
                    assert plain["kind"] == resource["responseKind"]["kind"]
                    assert plain["namespaced"] == (resource["scope"] == "Namespaced")
                    for sub in resource.get("subresources", ()):
                        seen.add(f"{plain['name']}/{sub['subresource']}")
                # what only has subresources, or only is one, the new form cannot say
                assert {n.partition("/")[0] for n in set(legacy) - seen} <= {"bindings", "pods"} or seen


def test_aggregated_discovery_is_not_sent_twice(serve: Server):
    first = serve.get("/apis", AGGREGATED)
    again = serve.get("/apis", AGGREGATED, If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    other = serve.get("/api", AGGREGATED, If_None_Match=first.headers["etag"])
    assert other.status == 200
    assert (first.headers["vary"], first.headers["cache-control"]) == ("Accept", "public")
    as_yaml = serve.get("/apis", AGGREGATED.replace("json", "yaml"))
    assert as_yaml.headers["content-type"] == AGGREGATED.replace("json", "yaml")
    assert as_yaml.body.startswith(b"apiVersion: apidiscovery.k8s.io/v2\nitems:\n")
    wanted = AGGREGATED.replace("json", "vnd.kubernetes.protobuf")
    as_protobuf = serve.get("/apis", wanted)
    assert as_protobuf.headers["content-type"] == wanted
    message = protobuf.decode(as_protobuf.body)
    assert (message["kind"], message["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    assert [item["versions"] for item in message["items"]] == [i["versions"] for i in first.json["items"]]


def test_versions_are_in_kubernetes_order():
    versions = ["foo10", "v1beta1", "v10", "v2", "v1", "v2alpha1", "v1beta2", "foo1", "v11alpha2", "v3beta1"]
    assert sorted(versions, key=version_priority, reverse=True) == [
        *("v10", "v2", "v1", "v3beta1", "v1beta2", "v1beta1", "v11alpha2", "v2alpha1", "foo1", "foo10"),
    ]


@recorded
def test_discovery_is_the_recorded_one(serve: Server):
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in ("storageVersionHash", "serverAddress")}
        return [plain(v) for v in value] if isinstance(value, list) else value

    for path in sorted((DOCS / "discovery").glob("api*.json")):
        url = "/" + path.stem.replace("apis.", "apis/", 1).replace("api.v1", "api/v1")
        if url.count("/") == 2 and url.rpartition(".v")[2][:1].isdigit() and not url.startswith("/api/"):
            head, _, version = url.rpartition(".")
            url = f"{head}/{version}"
        assert plain(serve.get(url).json) == plain(load(path)), url
    for root in ("api", "apis"):
        assert plain(serve.get(f"/{root}", AGGREGATED).json) == plain(
            load(DOCS / f"discovery/aggregated.{root}.json")
        )


@recorded
def test_the_list_of_paths_is_the_recorded_one(serve: Server):
    assert serve.get("/").json == load(DOCS / "discovery/paths.json")


def test_every_listed_path_is_served(serve: Server):
    paths = serve.get("/").json["paths"]
    assert paths == sorted(set(paths)) and "/apis/apps/v1" in paths and "/readyz/informer-sync" in paths
    for path in paths:
        assert serve.get(path).status == 200, path


# -- OpenAPI -----------------------------------------------------------------------------------------------


def without_words(value: Any, names: bool = False) -> Any:
    """Without descriptions; `names`: the keys are names of fields or definitions."""
    if isinstance(value, dict):
        return {
            key: without_words(item, key in ("properties", "schemas", "definitions"))
            for key, item in value.items()
            if names or key != "description" or not isinstance(item, str)
        }
    return [without_words(item) for item in value] if isinstance(value, list) else value


def files(folder: str) -> Iterator[tuple[str, Path]]:
    """(name of the document, file); where there are two of a name, the one that is no gzip is the right one."""
    found: dict[str, Path] = {}
    for path in sorted((DOCS / folder).glob("*.json*"), key=lambda p: p.suffix != ".gz"):
        found[path.name.partition(".json")[0]] = path
    yield from sorted(found.items())


@recorded
@pytest.mark.parametrize("name", [name for name, _ in files("openapi/v3")] if DOCS.is_dir() else [])
def test_an_openapi_v3_document_is_the_recorded_one(name):
    wanted = load(dict(files("openapi/v3"))[name])
    root = min(wanted["paths"], key=len).strip("/")
    parts = root.split("/")
    if root in top.TOPS or (parts[0] == "apis" and len(parts) == 2):
        made = documents.v3_top(root)
    else:
        group, version = ("", parts[1]) if parts[0] == "api" else parts[1:3]
        made = documents.v3(
            group, version, [r for r in RESOURCES if (r.group, r.version) == (group, version)]
        )
    assert without_words(made) == without_words(wanted)


@recorded
def test_the_openapi_v2_document_is_the_recorded_one():
    """But for parameters, which the recorded one names and ours spells out."""
    wanted = load(DOCS / "openapi/v2.json.gz")
    shared = wanted.pop("parameters")

    def resolved(found: list[Any]) -> list[Any]:
        whole = [shared[p["$ref"].removeprefix("#/parameters/")] if "$ref" in p else p for p in found]
        return sorted(whole, key=lambda p: (p["name"], p["in"]))

    made = json.loads(json.dumps(documents.v2(RESOURCES, [])))
    for document in (wanted, made):
        for item in document["paths"].values():
            for holder in (item, *(v for k, v in item.items() if k != "parameters")):
                if "parameters" in holder:
                    holder["parameters"] = resolved(holder["parameters"])
    assert without_words(made) == without_words(wanted)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_openapi_over_http(serve: Server):
    index = serve.get("/openapi/v3")
    assert index.headers["content-type"] == "text/plain; charset=utf-8"
    paths = index.json["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/apps", "version"} <= set(paths)
    for name in ("api/v1", "apis/apps/v1", "apis/apps", "version", "openid/v1/jwks"):
        url = paths[name]["serverRelativeURL"]
        answer = serve.get(url)
        assert answer.status == 200 and answer.json["openapi"] == "3.0.0"
        assert answer.headers["cache-control"] == "public, immutable"
        schemas = answer.json["components"].get("schemas", {})
        for reference in references(answer.json):
            assert reference.removeprefix("#/components/schemas/") in schemas
        again = serve.get(url, If_None_Match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        stale = serve.get(f"/openapi/v3/{name}?hash=old")
        assert (stale.status, stale.headers["location"]) == (301, url)
    unknown = serve.get("/openapi/v3/apis/nope/v1")
    assert (unknown.status, unknown.body, "content-type" in unknown.headers) == (404, b"", False)


def test_openapi_v2_over_http(serve: Server):
    answer = serve.get("/openapi/v2")
    document = answer.json
    assert document["swagger"] == "2.0"
    for reference in references(document):
        assert reference.removeprefix("#/definitions/") in document["definitions"]
    refused = serve.get("/openapi/v2", "text/html")
    assert (refused.status, refused.body) == (406, b"")


def test_operations_have_names_of_their_own():
    document = documents.v2(RESOURCES, [])
    names = [
        operation["operationId"]
        for item in document["paths"].values()
        for key, operation in item.items()
        if key != "parameters"
    ]
    assert len(names) == len(set(names))


# -- version, health, pages --------------------------------------------------------------------------------


def test_version(serve: Server):
    answer = serve.get("/version")
    assert answer.json["gitVersion"].startswith("v1.36.") and answer.json["minor"] == "36"
    assert serve.get("/version/").status == 200
    assert serve.get("/version", "application/yaml").status == 406
    assert serve("POST", "/version").status == 405


@pytest.mark.parametrize("which", ["healthz", "livez", "readyz"])
def test_health(serve: Server, which):
    assert serve.get(f"/{which}").body == b"ok"
    lines = serve.get(f"/{which}?verbose").body.decode().splitlines()
    assert lines[0] == "[+]ping ok" and lines[-1] == f"{which} check passed"
    # as recorded: who is ready need not have looked at the store
    assert ("[+]etcd ok" in lines) == (which != "readyz")
    assert ("[+]informer-sync ok" in lines) == (which == "readyz")
    lines = serve.get(f"/{which}?verbose&exclude=log&exclude=nope").body.decode().splitlines()
    assert "[+]log excluded: ok" in lines
    assert 'warn: some health checks cannot be excluded: no matches for "nope"' in lines
    assert serve.get(f"/{which}/ping").body == b"ok"
    assert serve.get(f"/{which}/nope").status == 404


def test_health_says_what_fails(serve: Server, monkeypatch):
    plane = serve.cluster.cluster.plane
    monkeypatch.setattr(plane, "ready", False)
    # what a new cluster holds is not written yet, and nobody said how long that may take
    assert serve.get("/livez").status == 500
    answer = serve.get("/readyz")
    assert answer.status == 500
    assert "[-]informer-sync failed: reason withheld\n" in answer.body.decode()
    assert answer.body.endswith(b"readyz check failed\n")
    assert serve.get("/readyz/informer-sync").body == b"internal server error: not finished\n"
    slis = serve.get("/metrics/slis").body.decode()
    assert 'kubernetes_healthcheck{name="informer-sync",type="readyz"} 0\n' in slis
    assert 'kubernetes_healthcheck{name="ping",type="livez"} 1\n' in slis


@pytest.mark.parametrize("page", ["statusz", "flagz"])
def test_pages_for_people(serve: Server, page):
    answer = serve.get(f"/{page}", "text/plain")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.startswith(f"\nkube-apiserver {page}\nWarning: This endpoint is not meant".encode())
    for refused in ("application/yaml", "application/json", f"application/json;as={page.title()}"):
        assert serve.get(f"/{page}", refused).status == 406
    text = answer.body.decode()
    if page == "flagz":
        assert "\nauthorization-mode=[Node,RBAC]\n" in text and "\nrequest-timeout=1m0s\n" in text
    else:
        assert re.search(
            r"\nStarted: [A-Z]\w\w [A-Z]\w\w [ \d]\d \d\d:\d\d:\d\d UTC 20\d\d\nUp: 0 hr \d\d min \d\d sec\n",
            text,
        )
        assert text.endswith("Paths: /flagz /healthz /livez /metrics /readyz /statusz /version\n")


@pytest.mark.parametrize("version", ["v1beta1", "v1alpha1"])
@pytest.mark.parametrize("kind", ["Statusz", "Flagz"])
def test_pages_for_programs(serve: Server, kind, version):
    wanted = f"application/json;v={version};g=config.k8s.io;as={kind}"
    answer = serve.get(f"/{kind.lower()}", f"{wanted}, text/plain;q=0.5")
    found = answer.json
    assert (found.pop("kind"), found.pop("apiVersion")) == (kind, f"config.k8s.io/{version}")
    assert found.pop("metadata") == {"name": "kube-apiserver"}
    assert ("is deprecated" in answer.headers.get("warning", "")) == (version == "v1alpha1")
    if kind == "Flagz":
        assert found["flags"]["anonymous-auth"] == "true" and len(found["flags"]) > 40
    else:
        assert found.keys() == {
            *("startTime", "uptimeSeconds", "goVersion", "binaryVersion", "emulationVersion", "paths")
        }
        assert found["emulationVersion"] == "1.36" and "/livez" in found["paths"]


NOWHERE = [
    ("GET", "/nope", 404, b"404 page not found\n"),
    ("GET", "/APIS", 404, b"404 page not found\n"),
    ("GET", "/apis/nope.example.com", 404, b"404 page not found\n"),
    ("GET", "/apis/nope.example.com/v1/things", 404, b"404 page not found\n"),
    ("GET", "/api/v1/nope", 404, b"could not find the requested resource"),
    ("GET", "/apis/apps/v9/deployments", 404, b"could not find the requested resource"),
    ("GET", "/api/v1/namespaces/default/pods/p/nope", 404, b"could not find the requested resource"),
    ("HEAD", "/api/v1/namespaces", 405, b""),
    ("FROB", "/api/v1/namespaces", 405, b"the server does not allow this method"),
    ("OPTIONS", "/api/v1/namespaces", 405, b"the server does not allow this method"),
    ("POST", "/api/v1/namespaces/default", 405, b"the server does not allow this method"),
    ("DELETE", "/api/v1/namespaces", 405, b"the server does not allow this method"),
    ("PUT", "/api/v1/namespaces/default/pods", 405, b"the server does not allow this method"),
    # what can only be created has no objects, and in no namespace nothing at all
    ("GET", "/apis/authentication.k8s.io/v1/tokenreviews", 405, b"the server does not allow this method"),
    ("GET", "/apis/authentication.k8s.io/v1/tokenreviews/x", 404, b"could not find the requested resource"),
    ("POST", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews", 404, b"could not find the requested"),
    ("DELETE", "/api/v1/bindings", 404, b"could not find the requested resource"),
    ("DELETE", "/api/v1/pods/p/log", 404, b"could not find the requested resource"),
]


@pytest.mark.parametrize(("method", "path", "code", "text"), NOWHERE)
def test_paths_and_methods_that_lead_nowhere(serve: Server, method, path, code, text):
    answer = serve(method, path)
    assert answer.status == code and text in answer.body


# -- metrics -----------------------------------------------------------------------------------------------


def samples(serve: Server) -> dict[str, float]:
    answer = serve.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    found = dict(line.rsplit(" ", 1) for line in lines)
    assert len(found) == len(lines), "a sample is there twice"
    return {name: float(value) for name, value in found.items()}


def test_requests_are_counted(serve: Server, namespace):
    name = (
        'apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="secrets",'
        'scope="resource",subresource="",verb="GET",version="v1"}'
    )
    before = samples(serve).get(name, 0)
    for _ in range(3):
        serve.get(f"/api/v1/namespaces/{namespace}/secrets/absent")
    after = samples(serve)
    assert after[name] == before + 3
    labels = name.removeprefix("apiserver_request_total{").replace('code="404",', "").removesuffix("}")
    buckets = [
        value
        for key, value in after.items()
        if key.startswith(f"apiserver_request_duration_seconds_bucket{{{labels}")
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == after[f"apiserver_request_duration_seconds_count{{{labels}}}"] >= 3
    assert after[f"apiserver_request_duration_seconds_sum{{{labels}}}"] > 0


def test_what_else_is_measured(serve: Server, namespace):
    before = samples(serve)
    serve("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "s"}})
    after = samples(serve)
    objects = 'apiserver_storage_objects{resource="secrets"}'
    assert after[objects] == before[objects] + 1
    assert after['apiserver_storage_size_bytes{storage_cluster_id="etcd-0"}'] > 1000
    assert after['apiserver_current_inflight_requests{request_kind="readOnly"}'] == 1
    assert after["process_cpu_seconds_total"] > 0 and after["process_start_time_seconds"] > 0


def test_clients_cannot_make_series_without_end(serve: Server, monkeypatch):
    before = len(serve.cluster.cluster.plane.surface.metrics._requests._series)
    for number in range(50):
        serve.get(f"/nowhere/{number}")
        serve.get(f"/apis/g{number}.example.com/v1/things")
        serve.get(f"/api/v1/thing{number}")
        serve.get(f"/api/v1/namespaces/default/configmaps/absent{number}")
    assert len(serve.cluster.cluster.plane.surface.metrics._requests._series) <= before + 5


def test_metrics_are_written_as_prometheus_reads_them(serve: Server):
    from prometheus_client.parser import text_string_to_metric_families

    families = {f.name: f for f in text_string_to_metric_families(serve.get("/metrics").body.decode())}
    assert families["apiserver_request_duration_seconds"].type == "histogram"
    assert families["apiserver_request"].type == "counter"
    (build,) = families["kubernetes_build_info"].samples
    assert build.labels["minor"] == "36"
