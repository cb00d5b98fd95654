"""Requests that nobody would write: none may be answered 5xx or raise anything.

schemathesis makes them of the served OpenAPI v3 documents, most of which are refused at the door; and good manifests
are spoilt in a place or two, which get further. A sample in the suite, much more under `-m slow`.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from knarr.testing import TestCluster

pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

#: operations of the sample, requests to each, spoilt manifests, and when either ends all the same
SAMPLE, EXAMPLES, MANIFEST_REQUESTS, SECONDS_MAX = 100, 3, 1200, 10.0
#: of the long run
SLOW_EXAMPLES, SLOW_SECONDS_MAX = int(os.environ.get("KNARR_FUZZ_EXAMPLES", "12")), 600.0
#: what is a stream, or a way through to a pod's own port
STREAMS = ("/attach", "/exec", "/portforward", "/proxy", "/log")
#: parameters that make an answer last
LASTING = ("watch", "timeoutSeconds", "follow", "sendInitialEvents")
NAMES = ("a", "b", "one")
Object = dict[str, Any]


class Errors(logging.Handler):
    """Everything that was logged as an error: a panic, a controller's traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(logging.Formatter().format(record))


class Fuzzed:
    """A cluster, its OpenAPI documents, and requests to it."""

    def __init__(self, cluster: TestCluster) -> None:
        import requests

        self.url = cluster.url
        self.session = requests.Session()
        self.session.trust_env, self.session.verify = False, False
        self.session.headers["Authorization"] = f"Bearer {cluster.token}"
        self.codes: Counter[int] = Counter()
        self.bad: list[str] = []

    def get(self, path: str) -> Any:
        return self.session.get(self.url + path, timeout=30).json()

    def operations(self) -> list[Any]:
        """Of every group, but for streams."""
        import schemathesis

        found: list[Any] = []
        for name, entry in self.get("/openapi/v3")["paths"].items():
            if name.startswith((".well-known", "openid")):
                continue
            document = without_proxies(self.get(entry["serverRelativeURL"]))
            found += [result.ok() for result in schemathesis.openapi.from_dict(document).get_all_operations()]
        return found

    def try_out(self, operation: Any, examples: int, draw: random.Random) -> None:
        """Some requests to one operation; what is wrong with their answers goes to `bad`."""
        from hypothesis import HealthCheck, Phase, given, seed, settings

        # The schema is satisfied where it can be; what it cannot say is drawn here.
        @seed(draw.getrandbits(32))
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def requests_of_it(case: Any) -> None:
            aim(case, draw)
            self.send(case)

        requests_of_it()

    def send(self, case: Any) -> None:
        import requests

        arguments = case.as_transport_kwargs(base_url=self.url)
        arguments.get("headers", {}).pop("User-Agent", None)
        try:
            answer = self.session.request(**arguments, timeout=10)
        except (requests.exceptions.InvalidHeader, UnicodeError):
            return  # nothing that could be sent
        except requests.RequestException as error:
            self.bad.append(f"{case.method} {case.path} {arguments}: {error}")
            return
        self.codes[answer.status_code] += 1
        if why := wrong(answer):
            shown = {key: value for key, value in arguments.items() if key not in ("cookies",)}
            self.bad.append(f"{why}\n  {answer.status_code} {answer.text[:500]}\n  {shown}")


def without_proxies(document: Object) -> Object:
    paths = {
        path: item
        for path, item in document["paths"].items()
        if not path.endswith(STREAMS) and "/proxy/" not in path and "/watch/" not in path
    }
    return {**document, "paths": paths}


def aim(case: Any, draw: random.Random) -> None:
    """At what is there, mostly; and never at a stream or the cluster's own namespaces."""
    parameters = case.path_parameters
    if isinstance(parameters, dict):
        if "namespace" in parameters and draw.random() < 0.9:
            parameters["namespace"] = "fuzz"
        if "name" in parameters and draw.random() < 0.8:
            parameters["name"] = draw.choice(NAMES)
    if isinstance(case.query, dict):
        for name in LASTING:
            case.query.pop(name, None)
    body = case.body
    if isinstance(body, dict) and case.method in ("POST", "PUT") and draw.random() < 0.9:
        if isinstance(body.get("metadata"), dict):
            metadata = {"name": draw.choice(NAMES)} | {
                k: v for k, v in body["metadata"].items() if k not in ("name", "namespace", "resourceVersion")
            }
            case.body = {**body, "metadata": metadata}
        else:
            case.body = {**body, "metadata": {"name": draw.choice(NAMES)}}
        media = case.operation.definition.raw.get("x-kubernetes-group-version-kind")
        if media:
            group, version = media["group"], media["version"]
            case.body["kind"] = media["kind"]
            case.body["apiVersion"] = f"{group}/{version}" if group else version


def wrong(answer: Any) -> str:
    """What an answer may not be."""
    code = answer.status_code
    if code >= 500:
        status = _json(answer)
        expected = isinstance(status, dict) and (
            status.get("reason") in EXPECTED or status.get("message", "").startswith(EXPECTED_MESSAGES)
        )
        return "" if expected else "a server error"
    if code >= 400 and "json" in answer.headers.get("Content-Type", ""):
        status = _json(answer)
        if not isinstance(status, dict) or status.get("kind") != "Status" or status.get("code") != code:
            return "an error without a Status"
    return ""


def _json(answer: Any) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError:
        return None


#: what Kubernetes itself answers 500 or 503 for: "resource version too large" and the like
EXPECTED = frozenset({"Timeout", "ServerTimeout", "ServiceUnavailable"})
#: a Binding's fields, the types of an apply and of lists in patches are checked where errors have no reason
EXPECTED_MESSAGES = (
    *("target.", "failed to create typed patch object", "failed to convert new object ("),
    *("list element types are not identical", "map: map[", "merging an object in json but data type is not"),
    "Component not found: ",
    # after all networks of Services have been deleted
    "Internal error occurred: failed to allocate a serviceIP: range is full",
)


# -- spoilt manifests --------------------------------------------------------------------------------------

MANIFESTS = (
    Path(__file__).parents[1] / "clients/kinds.yaml",
    Path(__file__).parents[2] / "examples/app.yaml",
    Path(__file__).with_name("manifests.yaml"),
)
#: what takes a value's place
ODDITIES: list[Any] = [
    *(None, "", "\0", "a" * 300, "ä b/c:d", "-", "1", "10Mi", "2026-01-01T00:00:00Z", "*", "{{"),
    *(0, -1, 1, 65536, 2**31, 2**63 - 1, 2**64, 1.5, 1e300, True, False),
    *([], [None], [""], [{}], {}, {"": ""}, {"a": None}, {"name": "a"}, [[]]),
]


#: how lists of what was stored are asked for
LOOKS = (
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
)


def manifests() -> list[Object]:
    found = [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]
    return [document for document in found if document]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*way, key)
        yield from places(inner, (*way, key))


def spoil(obj: Object, draw: random.Random) -> None:
    """Change, remove, double or swap something, but for what says which kind it is."""
    ways = [way for way in places(obj) if way[0] not in ("apiVersion", "kind")]
    if not ways:
        return
    *parents, last = draw.choice(ways)
    here: Any = obj
    for key in parents:
        here = here[key]
    what = draw.random()
    value = json.dumps(here[last])
    if what < 0.6:
        # what is of the same type gets further than the decoder
        alike = [odd for odd in ODDITIES if type(odd) is type(here[last])] if what < 0.45 else []
        here[last] = json.loads(json.dumps(draw.choice(alike or ODDITIES)))
    elif what < 0.75:
        del here[last]
    elif isinstance(here, list):
        here.append(json.loads(value))
    elif what < 0.9:
        here[last] = [here[last]]
    else:
        here[draw.choice(("name", "namespace", "labels", "selector", "spec", "unheardOf"))] = json.loads(
            value
        )


class Spoiler:
    """Sends manifests that have something wrong with them, in every way of writing."""

    def __init__(self, api: Fuzzed, draw: random.Random) -> None:
        self.api, self.draw, self.good = api, draw, manifests()
        self.paths: dict[tuple[str, str], tuple[str, bool]] = {}

    def path_of(self, obj: Object) -> str:
        """Of the collection."""
        version = obj["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        key = (version, obj["kind"])
        if key not in self.paths:
            for resource in self.api.get(root)["resources"]:
                if "/" not in resource["name"]:
                    self.paths[version, resource["kind"]] = (resource["name"], resource["namespaced"])
        plural, namespaced = self.paths[key]
        return f"{root}/namespaces/fuzz/{plural}" if namespaced else f"{root}/{plural}"

    def one(self, good: Object) -> None:
        draw = self.draw
        obj = json.loads(json.dumps(good))
        name = obj["metadata"]["name"]
        for _ in range(draw.choice((1, 1, 2, 4))):
            spoil(obj, draw)
        path = self.path_of(good)
        way = draw.random()
        if way < 0.45:
            self.send("POST", path, obj)
        elif way < 0.6:
            self.send("PUT", f"{path}/{name}", obj)
        elif way < 0.7:
            kind = "application/apply-patch+yaml"
            self.send("PATCH", f"{path}/{name}?fieldManager=f&force=true", obj, kind)
        elif way < 0.85:
            kind = draw.choice(("merge-patch+json", "strategic-merge-patch+json"))
            self.send("PATCH", f"{path}/{name}", obj, f"application/{kind}")
        elif way < 0.95:
            self.send("PUT", f"{path}/{name}/status", obj)
        else:
            self.send("DELETE", f"{path}/{name}", None)

    def look(self) -> None:
        """At what was stored, in every form."""
        for path in sorted({self.path_of(obj) for obj in self.good if not obj["kind"].endswith("Review")}):
            for accept in LOOKS:
                self.send("GET", path, None, accept=accept)

    def send(
        self, method: str, path: str, obj: Object | None, kind: str = "application/json", accept: str = "*/*"
    ) -> None:
        api = self.api
        data = json.dumps(obj).encode() if obj is not None else b""
        if data and kind == "application/json" and self.draw.random() < 0.1:
            data, kind = yaml.safe_dump(obj, allow_unicode=True).encode(), "application/yaml"
        headers = {"Content-Type": kind, "Accept": accept}
        answer = api.session.request(method, api.url + path, data=data, headers=headers, timeout=10)
        api.codes[answer.status_code] += 1
        if why := wrong(answer):
            api.bad.append(
                f"{why}\n  {answer.status_code} {answer.text[:500]}\n  {method} {path} {kind}\n  {data!r}"
            )


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fuzzed, Errors]]:
    import http.client

    http.client._MAXHEADERS = 1000  # each unknown field is a Warning header
    errors = Errors()
    logging.getLogger().addHandler(errors)
    cluster = TestCluster(tmp_path_factory.mktemp("fuzzed"), nodes=1, seed=1)
    cluster.start()
    made = Fuzzed(cluster)
    body = {"metadata": {"name": "fuzz"}}
    assert made.session.post(f"{cluster.url}/api/v1/namespaces", json=body).status_code == 201
    yield made, errors
    cluster.stop()
    logging.getLogger().removeHandler(errors)


def seeded() -> tuple[int, random.Random]:
    seed = int(os.environ.get("KNARR_FUZZ_SEED", "7"))
    return seed, random.Random(seed)


def judge(fuzzed: tuple[Fuzzed, Errors], seed: int, what: str) -> None:
    """Fails with what was found; and is the server still well?"""
    api, errors = fuzzed
    logging.getLogger(__name__).warning("%s, answers: %s", what, dict(api.codes))
    bad, found = api.bad[:], errors.found[:]
    api.bad.clear()
    api.codes.clear()
    errors.found.clear()
    assert not bad, f"KNARR_FUZZ_SEED={seed}: {len(bad)} answers\n" + "\n".join(bad[:20])
    assert not found, f"KNARR_FUZZ_SEED={seed}\n" + "\n".join(found[:5])
    assert api.session.get(f"{api.url}/readyz", timeout=10).text == "ok"


def by_schema(fuzzed: tuple[Fuzzed, Errors], examples: int, seconds_max: float, sample: int | None) -> None:
    api, _ = fuzzed
    seed, draw = seeded()
    operations = api.operations()
    end, tried = time.monotonic() + seconds_max, 0
    for operation in draw.sample(operations, sample or len(operations)):
        if time.monotonic() > end:
            break
        api.try_out(operation, examples, draw)
        tried += 1
    judge(fuzzed, seed, f"{tried} operations")


def by_manifest(fuzzed: tuple[Fuzzed, Errors], requests: int, seconds_max: float) -> None:
    api, _ = fuzzed
    seed, draw = seeded()
    spoiler = Spoiler(api, draw)
    end = time.monotonic() + seconds_max
    for number in range(requests):
        if time.monotonic() > end:
            break
        if number % 400 == 0:
            for obj in spoiler.good:  # so that updates find something
                api.session.post(api.url + spoiler.path_of(obj), json=obj, timeout=10)
        spoiler.one(draw.choice(spoiler.good))
        if number % 400 == 399:
            spoiler.look()
    judge(fuzzed, seed, "spoilt manifests")


def test_a_sample_of_operations(fuzzed):
    by_schema(fuzzed, EXAMPLES, SECONDS_MAX, SAMPLE)


def test_some_spoilt_manifests(fuzzed):
    by_manifest(fuzzed, MANIFEST_REQUESTS, SECONDS_MAX)


@pytest.mark.slow
def test_every_operation(fuzzed):
    by_schema(fuzzed, SLOW_EXAMPLES, SLOW_SECONDS_MAX, None)


@pytest.mark.slow
def test_many_spoilt_manifests(fuzzed):
    by_manifest(fuzzed, SLOW_EXAMPLES * 2000, SLOW_SECONDS_MAX)
