"""Custom resources whose versions a webhook converts, over a webhook in this process that answers as it is told."""

import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.resources import Resource
from knarr.egress import Answer, EgressError
from knarr.meta.errors import StatusError
from knarr.registry.custom import webhook as webhooks
from knarr.registry.custom.establish import CLEANUP, CustomResources
from knarr.registry.local import LocalAPI

from .conftest import APPLY, MERGE
from .test_custom_resources import CRDS, GROUP, NUMBER, TEXT, boat, definition, of, path, version

V1, V2 = f"{GROUP}/v1", f"{GROUP}/v2"
#: v1 says where with one text, v2 with two
SCHEMAS = {
    "v1": of(spec=of(hostPort=TEXT, size=NUMBER), status=of(ready=NUMBER)),
    "v2": of(spec=of(host=TEXT, port=TEXT, size={**NUMBER, "default": 7}), status=of(ready=NUMBER)),
}
VERSIONS = [
    version("v1", schema=SCHEMAS["v1"], subresources={"status": {}}),
    version(
        "v2",
        storage=False,
        schema=SCHEMAS["v2"],
        subresources={
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.ready"},
        },
        selectableFields=[{"jsonPath": ".spec.host"}],
    ),
]
CONVERSION = {
    "strategy": "Webhook",
    "webhook": {
        "clientConfig": {"url": "https://converter.example.com/convert"},
        "conversionReviewVersions": ["v1"],
    },
}


class Webhook:
    """Converts as an honest webhook does, unless `answer(review, response)` makes something else of it."""

    def __init__(self):
        self.reviews = []
        self.answer = None
        self.delay = 0.0

    async def post(self, client_config, body, *, timeout, query=""):
        review = orjson.loads(body)
        self.reviews.append(review)
        assert timeout == 30.0 and query == "timeout=30s"
        await asyncio.sleep(self.delay)
        request = review["request"]
        objects = [convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objects}
        answer = {"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response}
        if self.answer is not None:
            answer = self.answer(answer)
        return answer if isinstance(answer, Answer) else Answer(200, [], orjson.dumps(answer))

    def asked(self):
        """(version, names) of every review since the last call."""
        found = [
            (r["request"]["desiredAPIVersion"], [o["metadata"].get("name") for o in r["request"]["objects"]])
            for r in self.reviews
        ]
        self.reviews.clear()
        return found


def convert(obj, api_version):
    new = orjson.loads(orjson.dumps(obj))
    new["apiVersion"], spec = api_version, new.get("spec") or {}
    if api_version == V2 and "hostPort" in spec:
        spec["host"], _, spec["port"] = spec.pop("hostPort").partition(":")
    elif api_version == V1 and "host" in spec:
        spec["hostPort"] = f"{spec.pop('host')}:{spec.pop('port', '')}"
    return new


@pytest.fixture
def webhook():
    return Webhook()


@pytest.fixture
def custom(api, webhook):
    """`await custom()` defines boats in two versions, stored as v1."""
    resources = CustomResources(api.operations, post=webhook.post)
    resources.start()

    async def define(**changes):
        body = definition(versions=VERSIONS, **{"conversion": CONVERSION, **changes})
        await api("POST", CRDS, body)
        await asyncio.sleep(1)

    return define


def test_written_and_read_in_either_version(api, custom, webhook, run):
    async def main():
        await custom()
        made = await api("POST", path(), boat(spec={"hostPort": "a:1"}))
        assert (made["apiVersion"], made["spec"]) == (V1, {"hostPort": "a:1"})
        assert webhook.asked() == []
        other = await api("GET", f"{path(served='v2')}/a")
        assert (other["apiVersion"], other["spec"]) == (V2, {"host": "a", "port": "1"})
        for field in ("uid", "resourceVersion", "creationTimestamp", "name", "namespace"):
            assert other["metadata"][field] == made["metadata"][field]
        assert webhook.asked() == [(V2, ["a"])]
        assert await api("GET", f"{path(served='v2')}/a") == other
        assert webhook.asked() == [], "a stored state is converted once"
        made = await api("POST", path(served="v2"), boat("b", "v2", spec={"host": "b", "port": "2"}))
        assert made["spec"] == {"host": "b", "port": "2", "size": 7}
        assert webhook.asked() == [(V1, ["b"]), (V2, ["b"])]
        assert (await api("GET", f"{path()}/b"))["spec"] == {"hostPort": "b:2", "size": 7}
        stored = api.store.peek(b"/registry/example.com/boats/n/b").kvs[0].value
        assert stored.startswith(b'{"kind":"Boat","apiVersion":"example.com/v1",')

    run(main())


def test_the_review_is_of_the_first_version_that_is_known(api, custom, webhook, run):
    async def main():
        config = {
            **CONVERSION,
            "webhook": {**CONVERSION["webhook"], "conversionReviewVersions": ["v3", "v1beta1"]},
        }
        await custom(conversion=config)
        await api("POST", path(served="v2"), boat("b", "v2", spec={"host": "b"}))
        review = webhook.reviews[0]
        assert (review["kind"], review["apiVersion"]) == ("ConversionReview", "apiextensions.k8s.io/v1beta1")
        assert set(review["request"]) == {"uid", "desiredAPIVersion", "objects"}
        sent = review["request"]["objects"][0]
        assert (sent["kind"], sent["apiVersion"]) == ("Boat", V2)
        assert "resourceVersion" not in sent["metadata"] and sent["metadata"]["uid"]

    run(main())


def test_a_list_is_one_review_and_selectors_see_the_asked_version(api, custom, webhook, run):
    async def main():
        await custom()
        for name in "abc":
            await api("POST", path(), boat(name, spec={"hostPort": f"{name}:1"}))
        webhook.asked()
        listed = await api("GET", path(served="v2"))
        assert listed["apiVersion"] == V2
        assert [o["spec"]["host"] for o in listed["items"]] == ["a", "b", "c"]
        assert webhook.asked() == [(V2, ["a", "b", "c"])]
        found = await api("GET", path(served="v2"), fieldSelector="spec.host=b")
        assert [o["metadata"]["name"] for o in found["items"]] == ["b"]
        page = await api("GET", path(served="v2"), fieldSelector="spec.host!=a", limit="1")
        assert [o["metadata"]["name"] for o in page["items"]] == ["b"]
        token = page["metadata"]["continue"]
        page = await api("GET", path(served="v2"), fieldSelector="spec.host!=a", **{"continue": token})
        assert [o["metadata"]["name"] for o in page["items"]] == ["c"]
        assert webhook.asked() == []

    run(main())


def test_every_way_to_change(api, custom, webhook, run):
    async def main():
        await custom()
        await api("POST", path(), boat(spec={"hostPort": "a:1"}))
        url = f"{path(served='v2')}/a"
        live = await api("GET", url)
        live["spec"]["port"] = "2"
        replaced = await api("PUT", url, live)
        assert replaced["spec"] == {"host": "a", "port": "2", "size": 7}
        assert replaced["metadata"]["generation"] == 2
        assert (await api("GET", f"{path()}/a"))["spec"] == {"hostPort": "a:2", "size": 7}
        patched = await api("PATCH", url, {"spec": {"host": "z"}}, MERGE)
        assert patched["spec"]["host"] == "z"
        assert (await api("PATCH", url, {"spec": {"host": "z"}}, MERGE))["metadata"] == patched["metadata"]
        await api("PATCH", f"{url}/status", {"status": {"ready": 3}}, MERGE)
        scale = await api("GET", f"{url}/scale")
        assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (7, 3)
        await api("PATCH", f"{url}/scale", {"spec": {"replicas": 9}}, MERGE)
        assert (await api("GET", f"{path()}/a"))["spec"] == {"hostPort": "z:2", "size": 9}
        dry = await api("PATCH", url, {"spec": {"host": "y"}}, MERGE, dryRun="All")
        assert dry["spec"]["host"] == "y"
        assert (await api("GET", url))["spec"]["host"] == "z"

    run(main())


def test_owners_of_fields_in_another_version(api, custom, webhook, run):
    async def main():
        await custom()
        url1, url2 = f"{path()}/a", f"{path(served='v2')}/a"
        await api("PATCH", url1, boat(spec={"hostPort": "a:1", "size": 1}), APPLY, fieldManager="one")
        body = boat(served="v2", spec={"size": 2})
        error = await api.refused("PATCH", url2, body, APPLY, fieldManager="two")
        assert error.code == 409 and 'conflict with "one"' in error.message
        await api("PATCH", url2, body, APPLY, fieldManager="two", force="true")
        entries = (await api("GET", url1))["metadata"]["managedFields"]
        owned = {(e["manager"], e["apiVersion"]): e["fieldsV1"]["f:spec"] for e in entries}
        assert owned == {("one", V1): {"f:hostPort": {}}, ("two", V2): {"f:size": {}}}
        # what an owner of the other version no longer applies goes away there
        await api("PATCH", url1, boat(spec={}), APPLY, fieldManager="one")
        assert (await api("GET", url2))["spec"] == {"size": 2}

    run(main())


async def _watched(api, run_for, served="v2", since=None):
    """What an in-process subscription is told."""
    events = []
    row = Resource(GROUP, served, "boats", "Boat", "boat", True, ("list", "watch"))

    def callback(batch):
        events.extend((type_, orjson.loads(entry.body)) for type_, entry, _ in batch)

    subscription = await LocalAPI(api.operations).subscribe(
        row, "n", "", "", since, callback, lambda why: events.append(("CLOSED", why))
    )
    await asyncio.sleep(run_for)
    return events, subscription


def test_in_process_subscriptions_are_converted_in_order(api, custom, webhook, run):
    async def main():
        await custom()
        await api("POST", path(), boat(spec={"hostPort": "a:1"}))
        webhook.delay = 0.5
        events, subscription = await _watched(api, 1)
        await api("PATCH", f"{path()}/a", {"spec": {"hostPort": "a:2"}}, MERGE)
        await api("PATCH", f"{path()}/a", {"spec": {"hostPort": "a:3"}}, MERGE)
        await api("DELETE", f"{path()}/a")
        await asyncio.sleep(5)
        assert [(t, o["apiVersion"], o["spec"]["port"]) for t, o in events] == [
            ("ADDED", V2, "1"),
            ("MODIFIED", V2, "2"),
            ("MODIFIED", V2, "3"),
            ("DELETED", V2, "3"),
        ]
        subscription.close()

    run(main())


WHAT = "conversion webhook for example.com/v2, Kind=Boat"
BROKEN = [
    (
        lambda a: Answer(500, [], b"oh no"),
        f'{WHAT} failed: an error on the server ("oh no") has prevented the request from succeeding',
    ),
    (lambda a: Answer(404, [], b""), f"{WHAT} failed: the server could not find the requested resource"),
    (
        lambda a: Answer(200, [], b"nonsense"),
        f"{WHAT} failed: couldn't get version/kind; json parse error: invalid character 'o' in literal null (expecting 'u')",
    ),
    (
        lambda a: {"apiVersion": "apiextensions.k8s.io/v1"},
        f"""{WHAT} failed: Object 'Kind' is missing in '{{"apiVersion":"apiextensions.k8s.io/v1"}}'""",
    ),
    (
        lambda a: {**a, "kind": "Other"},
        f"{WHAT} failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, Kind=Other",
    ),
    (lambda a: {**a, "response": None}, f"{WHAT} failed: no response provided"),
    (lambda a: said(a, uid="x"), f'{WHAT} failed: expected response.uid="UID", got "x"'),
    (lambda a: said(a, result={"status": "Failure", "message": "no way"}), f"{WHAT} failed: no way"),
    (
        lambda a: said(a, result={"status": "Failure"}),
        f"{WHAT} failed: response.result.status was 'Failure', not 'Success'",
    ),
    (lambda a: said(a, result={}), f"{WHAT} failed: response.result.status was '', not 'Success'"),
    (lambda a: said(a, convertedObjects=[]), f"{WHAT} returned 0 objects, expected 1"),
    (
        lambda a: of_it(a, apiVersion="example.com/v9"),
        f"{WHAT} returned invalid object at index 0: invalid groupVersion (expected example.com/v1, received example.com/v9)",
    ),
    (
        lambda a: of_it(a, kind="Ship"),
        f"{WHAT} returned invalid object at index 0: invalid kind (expected Boat, received Ship)",
    ),
    (
        lambda a: with_metadata(a, name="b"),
        f"{WHAT} returned invalid object: must have the same name: a != b",
    ),
    (
        lambda a: with_metadata(a, namespace="m"),
        f"{WHAT} returned invalid object: must have the same namespace: n != m",
    ),
    (
        lambda a: with_metadata(a, uid="u"),
        f"{WHAT} returned invalid object: must have the same UID: UID != u",
    ),
    (
        lambda a: with_metadata(a, labels=["x"]),
        f"{WHAT} returned invalid metadata: invalid metadata.labels of type []interface {{}} in converted object",
    ),
    (
        lambda a: with_metadata(a, labels={"x": 1}),
        f"{WHAT} returned invalid metadata: metadata.labels[x] must be a string, but is int64 in converted object",
    ),
    (
        lambda a: with_metadata(a, labels={"x": "!"}),
        f"""{WHAT} returned invalid metadata: metadata.labels: Invalid value: "!": a valid label must be""",
    ),
    (
        lambda a: with_metadata(a, annotations={"!": ""}),
        f"""{WHAT} returned invalid metadata: metadata.annotation: Invalid value: "!": name part must consist of""",
    ),
]


def said(answer, **parts):
    return {**answer, "response": {**answer["response"], **parts}}


def of_it(answer, **parts):
    return said(answer, convertedObjects=[{**o, **parts} for o in answer["response"]["convertedObjects"]])


def with_metadata(answer, **parts):
    objects = answer["response"]["convertedObjects"]
    return said(answer, convertedObjects=[{**o, "metadata": {**o["metadata"], **parts}} for o in objects])


@pytest.mark.parametrize(("answer", "message"), BROKEN)
def test_what_is_checked_of_an_answer(api, custom, webhook, run, answer, message):
    async def main():
        await custom()
        webhook.answer = answer
        error = await api.refused("POST", path(served="v2"), boat("a", "v2", spec={"host": "a"}))
        assert (error.code, error.reason) == (500, "")
        request = webhook.reviews[0]["request"]
        for uid in (request["uid"], request["objects"][0]["metadata"]["uid"]):
            error.status["message"] = error.message.replace(uid, "UID")
        assert error.message.startswith(message)
        assert await api.absent(f"{path()}/a")

    run(main())


def test_metadata_stays_but_for_labels_and_annotations(api, custom, webhook, run):
    async def main():
        await custom()
        webhook.answer = lambda a: with_metadata(
            a, labels={"v": "1"}, annotations=None, generation=99, finalizers=["x.example.com/y"]
        )
        body = boat("a", "v2", spec={"host": "a"})
        body["metadata"]["annotations"] = {"gone": "yes"}
        await api("POST", path(served="v2"), body)
        made = await api("GET", f"{path()}/a")
        assert made["metadata"]["labels"] == {"v": "1"}
        assert made["metadata"]["generation"] == 1
        assert not {"annotations", "finalizers"} & set(made["metadata"])

    run(main())


def test_what_a_version_does_not_know_is_pruned_after_the_conversion(api, custom, webhook, run):
    async def main():
        await custom()
        webhook.answer = lambda a: of_it(a, spec={"hostPort": "a:1", "extra": 1, "size": 2.0})
        made = await api("POST", path(served="v2"), boat("a", "v2", spec={"host": "a"}))
        assert made["apiVersion"] == V2 and "extra" not in made["spec"] and "hostPort" not in made["spec"]
        stored = api.store.peek(b"/registry/example.com/boats/n/a").kvs[0].value
        assert orjson.loads(stored)["spec"] == {"hostPort": "a:1", "size": 2.0}

    run(main())


TEXTS = st.text("abc", max_size=3)
LABELS = st.none() | st.dictionaries(st.text("abc", min_size=1, max_size=3), TEXTS, max_size=2)
METADATA = st.fixed_dictionaries(
    {"name": TEXTS, "uid": TEXTS},
    optional={
        "labels": LABELS,
        "annotations": LABELS,
        "finalizers": st.lists(TEXTS, max_size=2),
        "generation": st.integers(0, 9),
        "managedFields": st.lists(st.just({"manager": "m"}), max_size=1),
    },
)


@given(METADATA, METADATA)
def test_whatever_a_webhook_makes_of_metadata(before, after):
    sent = orjson.dumps(before)
    found = webhooks._metadata({"metadata": before}, {"metadata": after})
    assert orjson.dumps(before) == sent
    for field in ("labels", "annotations"):
        assert found.get(field) == after.get(field)
    rest = {k: v for k, v in before.items() if k not in ("labels", "annotations")}
    assert {k: v for k, v in found.items() if k not in ("labels", "annotations")} == rest


def test_without_its_webhook_only_other_versions_fail(api, custom, webhook, run):
    async def main():
        def refuse(answer):
            raise EgressError("connection refused")

        await custom()
        await api("POST", path(), boat(spec={"hostPort": "a:1"}))
        webhook.answer = refuse
        url = f"{path(served='v2')}/a"
        for method, more in (("GET", ()), ("PUT", (boat(served="v2", spec={}),)), ("DELETE", ())):
            error = await api.refused(method, url, *more)
            assert (
                error.message == "conversion webhook for example.com/v1, Kind=Boat failed: connection refused"
            )
        error = await api.refused("GET", path(served="v2"))
        assert error.code == 500
        assert (await api("PATCH", f"{path()}/a", {"spec": {"size": 1}}, MERGE))["spec"]["size"] == 1
        events, _ = await _watched(api, 1)
        assert [type_ for type_, _ in events] == ["CLOSED"]
        assert isinstance(events[0][1], StatusError)

    run(main())


def test_controllers_and_the_end_need_no_webhook(api, custom, webhook, run):
    async def main():
        def refuse(answer):
            raise EgressError("connection refused")

        await custom()
        body = boat(spec={"hostPort": "a:1"})
        body["metadata"]["finalizers"] = ["example.com/x"]
        await api("POST", path(), body)
        await api("POST", path(), boat("b", spec={"hostPort": "b:1"}))
        webhook.answer = refuse
        row = Resource(GROUP, "v2", "boats", "Boat", "boat", True, ("list", "watch"))
        collector = _Caller(LocalAPI(api.operations), row)
        assert orjson.loads(await collector("get", "a"))["metadata"]["name"] == "a"
        assert len(orjson.loads(await collector("list"))["items"]) == 2
        patch = orjson.dumps({"metadata": {"finalizers": None, "labels": {"x": "y"}}})
        await collector("patch", "a", patch, MERGE)
        live = await api("GET", f"{path()}/a")
        assert live["metadata"]["labels"] == {"x": "y"} and live["spec"] == {"hostPort": "a:1"}
        assert live["metadata"]["generation"] == 1
        await collector("delete", "a")
        assert await api.absent(f"{path()}/a")
        await api("DELETE", f"{CRDS}/boats.{GROUP}")
        await asyncio.sleep(5)
        assert await api.absent(f"{CRDS}/boats.{GROUP}"), CLEANUP

    run(main())


class _Caller:
    """The garbage collector."""

    def __init__(self, local, row):
        self._local, self._row = local, row

    async def __call__(self, verb, name="", body=None, content_type="application/json"):
        from types import SimpleNamespace

        call = SimpleNamespace(
            verb=verb,
            resource=self._row,
            namespace="n",
            name=name,
            subresource="",
            query={},
            body=body,
            content_type=content_type,
            user="system:serviceaccount:kube-system:generic-garbage-collector",
            groups=(),
            user_agent="kube-controller-manager",
        )
        return await self._local.call(call)


def test_a_new_storage_version_is_what_the_next_write_stores(api, custom, webhook, run):
    async def main():
        await custom()
        await api("POST", path(), boat(spec={"hostPort": "a:1"}))
        await api("POST", path(), boat("b", spec={"hostPort": "b:1"}))
        crd = await api("GET", f"{CRDS}/boats.{GROUP}")
        for v in crd["spec"]["versions"]:
            v["storage"] = v["name"] == "v2"
        await api("PUT", f"{CRDS}/boats.{GROUP}", crd)
        await asyncio.sleep(1)
        assert (await api("GET", f"{CRDS}/boats.{GROUP}"))["status"]["storedVersions"] == ["v1", "v2"]
        webhook.asked()
        assert (await api("GET", f"{path()}/a"))["spec"] == {"hostPort": "a:1"}
        assert webhook.asked() == []

        def stored(name):
            value = api.store.peek(b"/registry/example.com/boats/n/" + name).kvs[0].value
            return orjson.loads(value)

        # deletion that waits for a finalizer leaves the version alone, an update that changes nothing moves it
        await api("PATCH", f"{path()}/b", {"metadata": {"labels": {"a": "b"}}}, MERGE)
        assert stored(b"b")["apiVersion"] == V2 and stored(b"b")["spec"] == {"host": "b", "port": "1"}
        live = await api("GET", f"{path()}/a")
        moved = await api("PUT", f"{path()}/a", live)
        assert stored(b"a")["apiVersion"] == V2
        assert moved["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]
        again = await api("PUT", f"{path()}/a", moved)
        assert again["metadata"]["resourceVersion"] == moved["metadata"]["resourceVersion"]
        # once nothing is stored in it, the old version may leave
        crd = await api("GET", f"{CRDS}/boats.{GROUP}")
        crd["status"]["storedVersions"] = ["v2"]
        await api("PUT", f"{CRDS}/boats.{GROUP}/status", crd)

    run(main())


def test_a_collection_is_deleted_with_one_review(api, custom, webhook, run):
    async def main():
        await custom()
        for name in "abc":
            await api("POST", path(), boat(name, spec={"hostPort": f"{name}:1"}))
        answer = await api("DELETE", path(served="v2"))
        assert [o["spec"]["host"] for o in answer["items"]] == ["a", "b", "c"]
        assert webhook.asked() == [(V2, ["a", "b", "c"])]
        assert (await api("GET", path()))["items"] == []

    run(main())


def test_many_who_ask_at_once_are_one_review(api, custom, webhook, run):
    async def main():
        await custom()
        await api("POST", path(), boat(spec={"hostPort": "a:1"}))
        webhook.delay = 1.0
        url = f"{path(served='v2')}/a"
        first = asyncio.ensure_future(api("GET", url))
        await asyncio.sleep(0.1)
        others = [asyncio.ensure_future(api("GET", url)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert len({orjson.dumps(o) for o in await asyncio.gather(first, *others)}) == 1
        assert webhook.asked() == [(V2, ["a"])]
        # one that goes away takes nothing from the others
        await api("PATCH", f"{path()}/a", {"spec": {"hostPort": "a:2"}}, MERGE)
        first = asyncio.ensure_future(api("GET", url))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(api("GET", url))
        await asyncio.sleep(0.1)
        first.cancel()
        assert (await second)["spec"]["port"] == "2"

    run(main())
