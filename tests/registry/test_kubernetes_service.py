"""The cluster goes on under another port: its own service says so."""

import asyncio

from knarr.cluster import bootstrap, upkeep


def test_the_service_follows_its_server(api, run):
    async def story():
        for port in (6443, 7443, 7443):
            wanted = list(bootstrap._kubernetes_service("192.0.2.1", port, "10.96.0.1"))
            await bootstrap.write(api.registry, wanted)
            service = await api("GET", "/api/v1/namespaces/default/services/kubernetes")
            assert [p["targetPort"] for p in service["spec"]["ports"]] == [port]
            assert service["spec"]["clusterIP"] == "10.96.0.1"
            endpoints = await api("GET", "/api/v1/namespaces/default/endpoints/kubernetes")
            assert [p["port"] for p in endpoints["subsets"][0]["ports"]] == [port]
        revision = api.store.revision
        await bootstrap.write(api.registry, wanted)
        assert api.store.revision == revision

    run(story())


def test_what_a_cluster_needs_comes_back(api, run):
    async def story():
        namespace = {"metadata": {"name": "kube-node-lease"}}
        wanted = [
            ("", "namespaces", namespace),
            *bootstrap._kubernetes_service("192.0.2.1", 6443, "10.96.0.1"),
        ]
        settled = 0

        async def settle():
            nonlocal settled
            settled += 1

        task = asyncio.create_task(upkeep.keep(api.registry, wanted, settle))
        paths = [
            "/api/v1/namespaces/default/services/kubernetes",
            "/api/v1/namespaces/default/endpoints/kubernetes",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
        ]
        for _ in range(2):
            await asyncio.sleep(61)
            made = [await api("GET", path) for path in paths]
            assert made[0]["spec"]["clusterIP"] == "10.96.0.1"
            assert await api("GET", "/api/v1/namespaces/kube-node-lease")
            for path in paths:
                await api("DELETE", path)
            await asyncio.sleep(11)
            assert (await api("GET", paths[0]))["metadata"]["uid"] != made[0]["metadata"]["uid"]
        assert settled == 16
        task.cancel()

    run(story())
