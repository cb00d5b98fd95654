"""Taints of devices get their time; admin access needs the namespace's leave; HPAs told to have no policies."""

from knarr.registry import devices

CLAIMS = "/apis/resource.k8s.io/v1/namespaces/ns/resourceclaims"
FORBIDDEN = "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"


def claim(name, **exactly):
    return {
        "metadata": {"name": name},
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", **exactly}}]}},
    }


def test_admin_access(api, run):
    devices.register(api.registry)

    async def story():
        await api("POST", "/api/v1/namespaces", {"metadata": {"name": "ns"}})
        await api("POST", CLAIMS, claim("plain", adminAccess=False))
        error = await api.refused("POST", CLAIMS, claim("admin", adminAccess=True))
        assert error.code == 422
        assert error.status["details"]["causes"] == [
            {
                "reason": "FieldValueForbidden",
                "message": f"Forbidden: {FORBIDDEN}",
                "field": "spec.devices.requests[0].adminAccess",
            }
        ]
        label = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
        await api("PATCH", "/api/v1/namespaces/ns", label, "application/merge-patch+json")
        assert (await api("POST", CLAIMS, claim("admin", adminAccess=True)))["metadata"]["uid"]

    run(story())


def test_taints_get_a_time(api, run):
    devices.register(api.registry)

    async def story():
        spec = {
            "driver": "d.io",
            "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "a", "taints": [{"key": "k", "effect": "NoExecute"}]}],
        }
        made = await api(
            "POST", "/apis/resource.k8s.io/v1/resourceslices", {"metadata": {"name": "s"}, "spec": spec}
        )
        (taint,) = made["spec"]["devices"][0]["taints"]
        assert taint["timeAdded"] == made["metadata"]["creationTimestamp"]

    run(story())


def test_policies_that_were_sent_empty_are_not_filled_in(api, run):
    async def story():
        await api("POST", "/api/v1/namespaces", {"metadata": {"name": "ns"}})
        body = {
            "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 2,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                "behavior": {"scaleUp": {"policies": []}},
            },
        }
        path = "/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers"
        error = await api.refused("POST", path, body)
        assert [cause["field"] for cause in error.status["details"]["causes"]] == [
            "spec.behavior.scaleUp.policies"
        ]
        del body["spec"]["behavior"]["scaleUp"]["policies"]
        made = await api("POST", path, body)
        assert len(made["spec"]["behavior"]["scaleUp"]["policies"]) == 2

    run(story())


def test_messages_of_updates_see_what_was_sent_empty(api, run):
    async def story():
        await api("POST", "/api/v1/namespaces", {"metadata": {"name": "ns"}})
        path = "/apis/policy/v1/namespaces/ns/poddisruptionbudgets"
        await api("POST", path, {"metadata": {"name": "b"}, "spec": {"minAvailable": 1}})
        quotas = "/api/v1/namespaces/ns/resourcequotas"
        quota = {"metadata": {"name": "q"}, "spec": {"scopes": ["Terminating"]}}
        await api("POST", quotas, quota)
        for content_type in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            error = await api.refused("PATCH", f"{quotas}/q", {"spec": {"scopes": []}}, content_type)
            assert error.status["message"].endswith("spec.scopes: Invalid value: []: field is immutable")
        quota["spec"]["scopes"] = []
        error = await api.refused("PUT", f"{quotas}/q", quota)
        assert error.status["message"].endswith("spec.scopes: Invalid value: []: field is immutable")
        del quota["spec"]["scopes"]
        error = await api.refused("PUT", f"{quotas}/q", quota)
        assert error.status["message"].endswith("spec.scopes: Invalid value: null: field is immutable")

    run(story())
