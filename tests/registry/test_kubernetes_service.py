"""The cluster goes on under another port: its own service says so."""

from knarr.cluster import bootstrap


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
