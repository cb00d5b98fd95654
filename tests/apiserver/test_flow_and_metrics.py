"""What /metrics and the dumps of priority and fairness say of requests, and what cannot be done to its objects."""

from __future__ import annotations

import asyncio
import re

import pytest

from knarr.apiserver.flowdebug import aligned
from knarr.apiserver.metricformat import lines
from knarr.apiserver.requestmetrics import BOUNDS, SLI_BOUNDS, _coarser
from knarr.meta.metrics import Family, number
from knarr.registry.context import Request, UserInfo

from .conftest import Server

ROOT = "/apis/flowcontrol.apiserver.k8s.io/v1"
DEBUG = "/debug/api_priority_and_fairness"
SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)").fullmatch


def samples(serve: Server) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for line in serve.get("/metrics").body.decode().splitlines():
        if not line.startswith("#"):
            match = SAMPLE(line)
            assert match, line
            labels = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or "")
            assert [name for name, _ in labels if name != "le"] == sorted(n for n, _ in labels if n != "le")
            found[match[1], frozenset(labels)] = float(match[3])
    return found


def labelled(serve: Server, name: str) -> list[dict[str, str]]:
    return [dict(labels) for n, labels in samples(serve) if n == name]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("apiserver_request_total", "code component dry_run group resource scope subresource verb version"),
        (
            "apiserver_request_duration_seconds_count",
            "component dry_run group resource scope subresource verb version",
        ),
        (
            "apiserver_request_sli_duration_seconds_count",
            "component group resource scope subresource verb version",
        ),
        ("apiserver_response_sizes_count", "component group resource scope subresource verb version"),
        ("apiserver_request_body_size_bytes_count", "group resource verb"),
        ("apiserver_longrunning_requests", "component group resource scope subresource verb version"),
        ("apiserver_current_inflight_requests", "request_kind"),
        ("apiserver_current_inqueue_requests", "request_kind"),
        ("apiserver_requested_deprecated_apis", "group removed_release resource subresource version"),
        ("authenticated_user_requests", "username"),
        ("authentication_attempts", "result"),
        ("authorization_attempts_total", "result"),
        ("apiserver_storage_objects", "resource"),
        ("apiserver_resource_objects", "group resource"),
        ("apiserver_watch_events_total", "group resource version"),
        ("apiserver_watch_cache_events_received_total", "group resource"),
        ("watch_cache_capacity", "group resource"),
        ("apiserver_flowcontrol_nominal_limit_seats", "priority_level"),
        ("apiserver_flowcontrol_dispatched_requests_total", "flow_schema priority_level"),
        ("apiserver_flowcontrol_current_executing_requests", "flow_schema priority_level"),
        ("apiserver_flowcontrol_request_execution_seconds_count", "flow_schema priority_level type"),
        ("apiserver_flowcontrol_next_s_bounds", "bound priority_level"),
        ("version_info", "binary component emulation min_compat"),
        ("apiserver_admission_controller_admission_duration_seconds_count", "name operation rejected type"),
        ("apiserver_admission_step_admission_duration_seconds_count", "operation rejected type"),
        ("apiserver_authorization_decisions_total", "decision name type"),
        ("apiserver_cache_list_fetched_objects_total", "group index resource"),
        ("apiserver_cache_list_returned_objects_total", "group resource"),
        ("apiserver_client_certificate_expiration_seconds_count", ""),
        ("apiserver_impersonation_attempts_total", "decision mode"),
        ("apiserver_init_events_total", "group resource"),
        ("apiserver_nodeport_repair_reconcile_errors_total", ""),
        ("apiserver_storage_events_received_total", "group resource"),
        ("apiserver_watch_cache_consistent_read_total", "fallback group resource success"),
        ("authentication_duration_seconds_count", "result"),
        ("authentication_token_cache_fetch_total", "status"),
        ("authentication_token_cache_request_total", "status"),
        ("authorization_duration_seconds_count", "result"),
        ("etcd_request_duration_seconds_count", "group operation resource"),
        ("etcd_requests_total", "group operation resource"),
        ("kube_apiserver_clusterip_allocator_allocated_ips", "cidr"),
        ("kube_apiserver_clusterip_allocator_allocation_total", "cidr scope"),
        ("kube_apiserver_nodeport_allocator_available_ports", ""),
        (
            "pod_security_evaluations_total",
            "decision mode policy_level policy_version request_operation resource subresource",
        ),
        ("process_virtual_memory_max_bytes", ""),
        ("serviceaccount_valid_tokens_total", ""),
    ],
)
def test_names_and_labels(serve: Server, name: str, labels: str):
    serve.get("/version", **{"Impersonate-User": "jane"})
    serve("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    serve(
        "POST",
        "/api/v1/namespaces/default/pods?dryRun=All",
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    )
    serve("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
    serve.get("/api/v1/namespaces/default/endpoints")
    serve.get("/api/v1/nodes", Authorization="")
    serve.get("/version", Authorization="Bearer wrong")
    with serve.wire() as wire:
        wire.send(serve.head("GET", "/api/v1/secrets?watch=true"))
        wire.head()
        found = labelled(serve, name)
    assert found, name
    assert {" ".join(sorted(one)) for one in found} == {labels}


def test_watches_are_counted_while_they_last(serve: Server, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/secrets"
    labels = frozenset(
        {
            ("component", "apiserver"),
            ("group", ""),
            ("resource", "secrets"),
            ("scope", "namespace"),
            ("subresource", ""),
            ("verb", "WATCH"),
            ("version", "v1"),
        }
    )
    key = ("apiserver_longrunning_requests", labels)
    sent = (
        "apiserver_watch_events_total",
        frozenset({("group", ""), ("resource", "secrets"), ("version", "v1")}),
    )
    before = samples(serve)
    with serve.wire() as wire:
        wire.send(serve.head("GET", f"{path}?watch=true"))
        wire.head()
        serve("POST", path, {"metadata": {"name": "s"}})
        during = samples(serve)
        assert during[key] == before.get(key, 0) + 1
        assert during[sent] >= before.get(sent, 0) + 1
    serve.cluster.run(asyncio.sleep(0.05))
    assert samples(serve).get(key, 0) == before.get(key, 0)


def test_histograms_agree():
    counts = list(range(len(BOUNDS) + 1))
    coarse = _coarser(counts)
    assert len(coarse) == len(SLI_BOUNDS) + 1
    assert sum(coarse) == sum(counts)
    # up to 50 ms: three buckets in one
    assert coarse[0] == counts[0] + counts[1] + counts[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-3, "-3"),
        (999_999, "999999"),
        (1e6, "1e+06"),
        (1_234_567, "1.234567e+06"),
        (-2e9, "-2e+09"),
        (2**64 - 1, "1.8446744073709552e+19"),
        (0.005, "0.005"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (5e-07, "5e-07"),
        (123456.789, "123456.789"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_are_written_as_go_writes_them(value: float, text: str):
    assert number(value) == text


def test_texts_of_labels_are_escaped():
    (text, sample) = lines([Family("x", "gauge", "About x.", [("", {"b": 'a"\\\n', "a": "1"}, 1.5)])])
    assert text == "# HELP x About x.\n# TYPE x gauge\n"
    assert sample == 'x{a="1",b="a\\"\\\\\\n"} 1.5\n'


def test_health_checks_are_counted(serve: Server):
    def count() -> float:
        text = serve.get("/metrics/slis").body.decode()
        (line,) = re.findall(
            r'kubernetes_healthchecks_total{name="ping",status="success",type="livez"} (.*)', text
        )
        return float(line)

    serve.get("/livez/ping")
    before = count()
    serve.get("/livez")
    serve.get("/livez/ping")
    assert count() == before + 2
    assert 'kubernetes_healthcheck{name="etcd",type="livez"} 1' in serve.get("/metrics/slis").body.decode()


# -- dumps -----------------------------------------------------------------------------------------------------------


def test_columns():
    assert (
        aligned([("A", "Bbbbbbbbbb", "C"), ("1", "2", "3")])
        == "A,      Bbbbbbbbbb, C\n1,      2,          3\n"
    )


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]


def test_dumps(serve: Server):
    flow = serve.cluster.cluster.plane.flow
    request = Request(
        "list", "/api/v1/pods", version="v1", resource="pods", namespace="ns", user=UserInfo("ann")
    )
    request.user = UserInfo("ann", groups=("system:authenticated",))

    async def arrive():
        return await flow.start(request)

    async def leave(ticket):
        ticket.finish()

    ticket = serve.cluster.run(arrive())
    try:
        levels = rows(serve.get(f"{DEBUG}/dump_priority_levels").body.decode())
        assert levels[0][:6] == [
            *(
                "PriorityLevelName",
                "ActiveQueues",
                "IsIdle",
                "IsQuiescing",
                "WaitingRequests",
                "ExecutingRequests",
            )
        ]
        by_name = {row[0]: row for row in levels[1:]}
        assert list(by_name) == sorted(by_name)
        assert by_name["global-default"][1:6] == ["0", "false", "false", "0", "1"]
        queues = rows(serve.get(f"{DEBUG}/dump_queues").body.decode())
        busy = [row for row in queues[1:] if row[3] == "1"]
        assert len(busy) == 1 and busy[0][0] == "global-default" and busy[0][4] == "1"
        assert len([row for row in queues if row[0] == "global-default"]) == 128
        text = serve.get(f"{DEBUG}/dump_requests?includeRequestDetails=1").body.decode()
        (row,) = [row for row in rows(text) if row[1] == "global-default"]
        assert row[4] == "ann" and row[3] == "-1" and row[2] == busy[0][1]
        assert row[-8:] == ["ann", "list", "/api/v1/pods", "ns", "", "v1", "pods", ""]
        assert "UserName" not in serve.get(f"{DEBUG}/dump_requests").body.decode()
        # not for everybody, and not listed
        assert serve.get(f"{DEBUG}/dump_queues", Authorization="").status == 403
        assert not [path for path in serve.get("/").json["paths"] if path.startswith("/debug")]
    finally:
        serve.cluster.run(leave(ticket))


# -- the objects -------------------------------------------------------------------------------------------------------


def test_mandatory_objects_keep_their_spec(serve: Server):
    path = f"{ROOT}/flowschemas/catch-all"
    patch = {"spec": {"matchingPrecedence": 9999}}
    answer = serve("PATCH", path, patch, Content_Type="application/merge-patch+json")
    assert answer.status == 422
    assert answer.json["message"].endswith("spec of 'catch-all' must equal the fixed value")
    patch = {"spec": {"exempt": {"nominalConcurrencyShares": 10, "lendablePercent": 50}}}
    path = f"{ROOT}/prioritylevelconfigurations/exempt"
    answer = serve("PATCH", path, patch, Content_Type="application/merge-patch+json")
    assert answer.status == 200
    level = serve.cluster.cluster.plane.flow.levels["exempt"]
    assert (level.nominal > 0, level.lowest < level.nominal) == (True, True)


def test_deleted_objects_come_back(serve: Server):
    path = f"{ROOT}/flowschemas/probes"
    uid = serve.get(path).json["metadata"]["uid"]
    assert serve("DELETE", path).status == 200
    assert serve.get(path).status == 404
    serve.cluster.advance(61)
    found = serve.get(path).json
    assert found["metadata"]["uid"] != uid
    managers = {entry["manager"] for entry in found["metadata"]["managedFields"]}
    assert "api-priority-and-fairness-config-producer-v1" in managers
    serve.cluster.run(asyncio.sleep(0.2))
    condition = serve.get(path).json["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Dangling", "False", "Found")


def test_dangling_is_said(serve: Server):
    schema = {
        "metadata": {"name": "lost"},
        "spec": {
            "priorityLevelConfiguration": {"name": "nowhere"},
            "matchingPrecedence": 77,
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "x"}}],
                    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}],
                }
            ],
        },
    }
    assert serve("POST", f"{ROOT}/flowschemas", schema).status == 201
    serve.cluster.run(asyncio.sleep(0.2))
    found = serve.get(f"{ROOT}/flowschemas/lost").json
    assert found["status"]["conditions"][0]["status"] == "True"
    managers = {entry["manager"]: entry.get("subresource") for entry in found["metadata"]["managedFields"]}
    assert managers["api-priority-and-fairness-config-consumer-v1"] == "status"
