"""Addresses and node ports of Services: taken, refused, given back."""

from __future__ import annotations

import asyncio

import pytest

from knarr.meta.errors import StatusError

from .conftest import MERGE


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
