"""Create: naming, placing, defaulting, what is refused, what is undone."""

from __future__ import annotations

import asyncio

import pytest

from knarr.meta.errors import StatusError

from .conftest import CONFIGMAPS, MERGE, PODS, configmap, pod


def test_a_new_object_has_what_the_server_fills_in(api, run):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        metadata = made["metadata"]
        assert metadata["name"] == "a" and metadata["namespace"] == "n"
        assert metadata["creationTimestamp"] == "2027-01-15T08:00:00Z"
        assert len(metadata["uid"]) == 36
        assert int(metadata["resourceVersion"]) == api.store.revision
        (entry,) = metadata["managedFields"]
        assert (entry["manager"], entry["operation"]) == ("tests", "Update")
        assert await api("GET", f"{CONFIGMAPS}/a") == made

    run(main())


def test_what_a_client_says_of_the_servers_fields_is_dropped(api, run):
    async def main():
        sent = configmap("a")
        sent["metadata"] |= {
            "uid": "mine",
            "creationTimestamp": "2001-01-01T00:00:00Z",
            "deletionTimestamp": "2001-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 3,
            "selfLink": "/x",
        }
        metadata = (await api("POST", CONFIGMAPS, sent))["metadata"]
        assert metadata["uid"] != "mine" and metadata["creationTimestamp"].startswith("2027")
        assert not {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"} & set(metadata)
        assert "f:metadata" not in metadata["managedFields"][0]["fieldsV1"]

    run(main())


REFUSED = [
    # body, query, code, message
    ({**configmap("a"), "metadata": {}}, {}, 422, "Required value: name or generateName is required"),
    (configmap("A_b"), {}, 422, "a lowercase RFC 1123 subdomain must consist"),
    (
        {**configmap("a"), "metadata": {"name": "a", "namespace": "other"}},
        {},
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        {**configmap("a"), "metadata": {"name": "a", "resourceVersion": "5"}},
        {},
        500,
        "resourceVersion should not be set on objects to be created",
    ),
    (pod("a"), {}, 400, "unknown conversion"),
    ({**configmap("a"), "kind": "Nope"}, {}, 400, 'no kind "Nope" is registered for version "v1"'),
    ({**configmap("a"), "data": {"a": 1}}, {}, 400, "cannot unmarshal number into Go struct field"),
    ({**configmap("a"), "dataa": {}}, {"fieldValidation": "Strict"}, 400, 'unknown field "dataa"'),
    (b'{"kind":', {}, 400, "unexpected end of JSON input"),
    (b"[]", {}, 400, "cannot unmarshal array into Go value"),
    (configmap("a"), {"dryRun": "Some"}, 422, 'Unsupported value: ["Some"]'),
    (configmap("a"), {"fieldManager": "x" * 129}, 422, "may not be more than 128 bytes"),
    (configmap("a"), {"fieldValidation": "Maybe"}, 422, 'supported values: "", "Ignore", "Strict", "Warn"'),
]


@pytest.mark.parametrize(("body", "query", "code", "message"), REFUSED)
def test_refused(api, run, body, query, code, message):
    async def main():
        error = await api.refused("POST", CONFIGMAPS, body, **query)
        assert (error.code, message in error.status["message"]) == (code, True), error.status["message"]
        assert api.store.revision == 1

    run(main())


def test_unknown_and_repeated_fields_are_warned_of(api, run):
    async def main():
        body = (
            b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"x":1,"data":{"k":"1","k":"2"}}'
        )
        made = await api("POST", CONFIGMAPS, body)
        assert made["data"] == {"k": "2"} and "x" not in made
        assert api.warnings == ['unknown field "x"', 'duplicate field "data.k"']
        await api("DELETE", f"{CONFIGMAPS}/a")
        await api("POST", CONFIGMAPS, body, fieldValidation="Ignore")
        assert api.warnings == []

    run(main())


def test_generated_names_are_drawn_until_one_is_free(api, run, monkeypatch):
    drawn = iter(["aaaaa", "aaaaa", "bbbbb"])
    monkeypatch.setattr(type(api.world.chance), "suffix", lambda self, length=5: next(drawn))

    async def main():
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
        first = await api("POST", CONFIGMAPS, body)
        second = await api("POST", CONFIGMAPS, body)
        assert (first["metadata"]["name"], second["metadata"]["name"]) == ("x-aaaaa", "x-bbbbb")

    run(main())


def test_generated_names_give_up_in_the_end(api, run, monkeypatch):
    monkeypatch.setattr(type(api.world.chance), "suffix", lambda self, length=5: "aaaaa")

    async def main():
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
        await api("POST", CONFIGMAPS, body)
        error = await api.refused("POST", CONFIGMAPS, body)
        assert error.code == 409 and "was not able to generate a unique name" in error.status["message"]
        assert error.status["details"]["retryAfterSeconds"] == 1

    run(main())


def test_a_name_that_is_taken(api, run):
    async def main():
        await api("POST", CONFIGMAPS, {**configmap("a"), "metadata": {"name": "a", "finalizers": ["x.y/z"]}})
        error = await api.refused("POST", CONFIGMAPS, configmap("a"))
        assert error.status["message"] == 'configmaps "a" already exists'
        await api("DELETE", f"{CONFIGMAPS}/a")
        error = await api.refused("POST", CONFIGMAPS, configmap("a"))
        assert error.status["message"] == 'object is being deleted: configmaps "a" already exists'
        error = await api.refused("POST", CONFIGMAPS, configmap("a"), dryRun="All")
        assert error.status["message"] == 'object is being deleted: configmaps "a" already exists'

    run(main())


def test_who_sends_an_empty_list_owns_it_though_it_is_stored_as_null(api, run):
    async def main():
        path = "/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles"
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a"}}
        made = await api("POST", path, {**role, "rules": []})
        assert made["rules"] is None
        assert made["metadata"]["managedFields"][0]["fieldsV1"] == {"f:rules": {}}
        made = await api("POST", path, {**role, "metadata": {"name": "b"}})
        assert made["rules"] is None and "managedFields" not in made["metadata"]

    run(main())


def test_yaml_bodies_are_read_as_go_reads_them(api, run):
    async def main():
        text = b"kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\ndata:\n  a: 'y'\n  a: b\n  t: 2001-01-01\n"
        made = await api("POST", CONFIGMAPS, text, "application/yaml")
        assert made["data"] == {"a": "b", "t": "2001-01-01"}
        assert api.warnings == ['line 7: key "a" already set in map']
        error = await api.refused("POST", CONFIGMAPS, text, "application/yaml", fieldValidation="Strict")
        assert error.status["message"].endswith(
            'strict decoding error: yaml: unmarshal errors:\n  line 7: key "a" already set in map'
        )
        error = await api.refused(
            "POST", CONFIGMAPS, text.replace(b"name: a", b"name: y"), "application/yaml"
        )
        assert (
            "cannot unmarshal bool into Go struct field ObjectMeta.metadata.name" in error.status["message"]
        )

    run(main())


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/json-patch+json"])
def test_other_media_types_are_refused(api, run, content_type):
    async def main():
        error = await api.refused("POST", CONFIGMAPS, configmap("a"), content_type)
        assert (error.code, error.reason) == (415, "UnsupportedMediaType")

    run(main())


WRITES = [
    ("POST", CONFIGMAPS, configmap("new"), "application/json"),
    ("POST", "/api/v1/namespaces/n/services", None, "application/json"),
    ("PUT", f"{CONFIGMAPS}/old", configmap("old", b="2"), "application/json"),
    ("PATCH", f"{CONFIGMAPS}/old", {"data": {"b": "2"}}, "application/merge-patch+json"),
    ("PATCH", f"{CONFIGMAPS}/old", {"data": {"b": "2"}}, "application/strategic-merge-patch+json"),
    (
        "PATCH",
        f"{CONFIGMAPS}/old",
        [{"op": "add", "path": "/data/b", "value": "2"}],
        "application/json-patch+json",
    ),
    ("DELETE", f"{CONFIGMAPS}/old", None, "application/json"),
    ("DELETE", CONFIGMAPS, None, "application/json"),
    ("DELETE", f"{PODS}/bound", None, "application/json"),
]


@pytest.mark.parametrize(("method", "path", "body", "content_type"), WRITES)
def test_a_dry_run_answers_and_writes_nothing(api, run, method, path, body, content_type):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]},
    }

    async def main():
        await api("POST", CONFIGMAPS, configmap("old"))
        await api("POST", PODS, pod("bound", node="node"))
        before, taken = api.store.revision, len(api.services._ports.numbers)
        answer = await api(
            method, path, body or (service if method == "POST" else None), content_type, dryRun="All"
        )
        assert answer["kind"] in ("ConfigMap", "Service", "Status", "ConfigMapList", "Pod")
        assert api.store.revision == before
        assert len(api.services._ports.numbers) == taken
        real = await api(method, path, body or (service if method == "POST" else None), content_type)
        assert api.store.revision > before, real

    run(main())


def service(name: str, **spec):
    wanted = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": wanted}


def test_what_was_allocated_for_a_refused_service_is_given_back(api, run):
    async def main():
        path = "/api/v1/namespaces/n/services"
        numbers = api.services._addresses._taken["IPv4"]
        await api("POST", path, service("a", clusterIP="10.96.0.50"))
        held = len(numbers), len(api.services._ports.numbers)
        # taken, refused after the allocation, and outside the range
        for spec in (
            {"clusterIP": "10.96.0.50"},
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31000}]},
            {"type": "NodePort", "ports": [{"port": 80}, {"port": 80}]},
            {"type": "LoadBalancer", "ports": [{"port": 10250}]},
            {"sessionAffinity": "Nope"},
        ):
            error = await api.refused("POST", path, service("b", **spec))
            assert error.code == 422, error
        error = await api.refused("POST", path, service("a"))
        assert error.code == 409
        assert (len(numbers), len(api.services._ports.numbers)) == held

    run(main())


def test_addresses_come_back_when_the_service_goes(api, run):
    async def main():
        path = "/api/v1/namespaces/n/services"
        numbers = api.services._addresses._taken["IPv4"]
        before = len(numbers)
        for _ in range(3):
            made = await api("POST", path, service("a", type="NodePort"))
            assert await api("GET", f"/apis/networking.k8s.io/v1/ipaddresses/{made['spec']['clusterIP']}")
            await api("DELETE", f"{path}/a")
            await asyncio.sleep(1)
            assert await api.absent(f"/apis/networking.k8s.io/v1/ipaddresses/{made['spec']['clusterIP']}")
        assert len(numbers) == before

    run(main())


#: what is asked of a service, and the error that is none of the client's
FAULTS_OF_THE_ALLOCATOR = [
    (
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 100},
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 100: "
        "provided port is not in the valid range. The range of valid ports is 30000-30009",
    ),
    (
        {
            "ports": [
                {"name": "a", "port": 80, "nodePort": 30003},
                {"name": "b", "port": 81, "nodePort": 30003},
            ]
        },
        "duplicate nodePort: {TCP 30003}",
    ),
]


@pytest.mark.parametrize(("spec", "message"), FAULTS_OF_THE_ALLOCATOR)
def test_what_only_the_allocator_finds_is_an_internal_error(api, run, spec, message):
    async def main():
        path = "/api/v1/namespaces/n/services"
        await api("POST", path, service("a", type="NodePort"))
        held = len(api.services._ports.numbers)
        error = await api.refused("PATCH", f"{path}/a", {"spec": spec}, MERGE)
        assert (error.code, error.message) == (500, message)
        assert len(api.services._ports.numbers) == held

    run(main())


def test_a_dry_run_gets_what_no_service_has(api, run):
    async def main():
        path = "/api/v1/namespaces/n/services?dryRun=All"
        spec = {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}
        made = (await api("POST", path, service("a", **spec)))["spec"]
        assert made["clusterIP"] == "10.96.0.0"
        assert [port["nodePort"] for port in made["ports"]] == [32769, 32770]
        # whether an address is free is not looked up
        await api("POST", path.partition("?")[0], service("b", clusterIP="10.96.0.50"))
        await api("POST", path, service("a", clusterIP="10.96.0.50"))
        error = await api.refused("POST", path, service("a", clusterIP="10.0.0.1"))
        assert error.message.endswith(
            "failed to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range."
            " The range of valid IPs is 10.96.0.0/24"
        )

    run(main())


def test_an_address_object_keeps_its_address(api, run):
    async def main():
        path, ips = "/api/v1/namespaces/n/services", "/apis/networking.k8s.io/v1/ipaddresses"
        parent = {"resource": "services", "namespace": "n", "name": "other"}
        mine = {"metadata": {"name": "10.96.0.50"}, "spec": {"parentRef": parent}}
        await api("POST", ips, mine)
        error = await api.refused("POST", path, service("a", clusterIP="10.96.0.50"))
        assert error.message.endswith("failed to allocate IP 10.96.0.50: provided IP is already allocated")
        await api("DELETE", f"{ips}/10.96.0.50")
        await api("POST", path, service("a", clusterIP="10.96.0.50"))

    run(main())


def test_service_cidrs_say_which_addresses_there_are(api, run):
    async def main():
        path, cidrs = "/api/v1/namespaces/n/services", "/apis/networking.k8s.io/v1/servicecidrs"
        far = service("a", clusterIP="10.200.0.3")
        assert "does not match the current range" in (await api.refused("POST", path, far)).message
        for name, cidr in (("kubernetes", "10.96.0.0/24"), ("small", "10.200.0.0/29")):
            await api("POST", cidrs, {"metadata": {"name": name}, "spec": {"cidrs": [cidr]}})
        await api("POST", path, far)
        mark = {"status": {"conditions": [ready("False")]}}
        await api("PATCH", f"{cidrs}/kubernetes/status", mark, MERGE)
        given = [(await api("POST", path, service(f"s{i}")))["spec"]["clusterIP"] for i in range(5)]
        assert sorted(given) == ["10.200.0.1", "10.200.0.2", "10.200.0.4", "10.200.0.5", "10.200.0.6"]
        error = await api.refused("POST", path, service("full"))
        assert error.message == "Internal error occurred: failed to allocate a serviceIP: range is full"
        await api("PATCH", f"{cidrs}/kubernetes/status", {"status": {"conditions": [ready("True")]}}, MERGE)
        await api("POST", path, service("full"))

    run(main())


def test_the_address_object_has_the_one_true_spelling(api, run):
    async def main():
        path, networks = "/api/v1/namespaces/n/services", "/apis/networking.k8s.io/v1"
        api.services._addresses.families.append("IPv6")
        for name, cidr in (("kubernetes", "10.96.0.0/24"), ("six", "fd00::/112")):
            await api(
                "POST", f"{networks}/servicecidrs", {"metadata": {"name": name}, "spec": {"cidrs": [cidr]}}
            )
        await api("POST", path, service("a", clusterIP="fd00:0::5"))
        assert await api("GET", f"{networks}/ipaddresses/fd00::5")
        error = await api.refused("POST", path, service("b", clusterIP="fd00::5"))
        assert error.message.endswith("provided IP is already allocated")
        await api("DELETE", f"{path}/a")
        await api("POST", path, service("b", clusterIP="fd00::5"))

    run(main())


def test_the_address_object_of_a_service_comes_back(api, run):
    async def main():
        path, ips = "/api/v1/namespaces/n/services", "/apis/networking.k8s.io/v1/ipaddresses"
        api.services.load()
        await api("POST", path, service("a", clusterIP="10.96.0.50"))
        await api("DELETE", f"{ips}/10.96.0.50")
        await asyncio.sleep(1)
        assert (await api("GET", f"{ips}/10.96.0.50"))["spec"]["parentRef"]["name"] == "a"
        await api("DELETE", f"{path}/a")
        await asyncio.sleep(1)
        assert await api.absent(f"{ips}/10.96.0.50")

    run(main())


def ready(status: str):
    when = "2027-01-01T00:00:00Z"
    return {"type": "Ready", "status": status, "lastTransitionTime": when, "reason": "R", "message": "m"}


def test_node_ports_run_out(api, run):
    async def main():
        path = "/api/v1/namespaces/n/services"
        for number in range(10):
            await api("POST", path, service(f"s{number}", type="NodePort"))
        with pytest.raises(StatusError) as full:
            await api("POST", path, service("more", type="NodePort"))
        assert full.value.code in (422, 500)
        await api("DELETE", f"{path}/s3")
        await api("POST", path, service("more", type="NodePort"))

    run(main())


def test_updates_that_race_hold_on_to_no_port_they_did_not_get(api, run):
    async def main():
        path = "/api/v1/namespaces/n/services"
        await api("POST", path, service("a"))
        # the first to arrive win their races: whoever takes a port loses at least once
        patches = [
            *({"metadata": {"labels": {"a": str(n)}}} for n in range(6)),
            {"spec": {"type": "NodePort"}},
            {"spec": {"type": "NodePort", "ports": [{"port": 80}, {"port": 81, "name": "x"}]}},
            {"spec": {"type": "ClusterIP"}, "metadata": {"labels": {"a": "b"}}},
        ]
        await asyncio.gather(
            *(api("PATCH", f"{path}/a", patch, MERGE) for patch in patches), return_exceptions=True
        )
        ports = (await api("GET", f"{path}/a"))["spec"]["ports"]
        assert len(api.services._ports.numbers) == sum("nodePort" in port for port in ports)
        await api("DELETE", f"{path}/a")
        assert len(api.services._ports.numbers) == 0

    run(main())
