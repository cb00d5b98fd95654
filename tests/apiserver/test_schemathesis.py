"""Requests that schemathesis makes of the served OpenAPI v3 documents: none may be answered 5xx or raise anything.

A sample of operations in the suite; every operation, many times over, under `-m slow`.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from knarr.testing import TestCluster

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

#: operations of the sample, requests to each, and when the sample ends all the same
SAMPLE, EXAMPLES, SECONDS_MAX = 150, 4, 20.0
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
        import urllib3

        urllib3.disable_warnings()
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
        # what Kubernetes itself answers 500 or 503 for says so in a reason of its own
        expected = isinstance(status, dict) and status.get("reason") in EXPECTED
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


#: ServiceUnavailable, Timeout ("resource version too large") and the like are part of the API
EXPECTED = frozenset({"Timeout", "ServerTimeout", "ServiceUnavailable"})


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fuzzed, Errors]]:
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


def run(
    fuzzed: tuple[Fuzzed, Errors],
    examples: int,
    seconds_max: float,
    choose: Callable[[list[Any], random.Random], list[Any]],
) -> None:
    api, errors = fuzzed
    seed = int(os.environ.get("KNARR_FUZZ_SEED", "7"))
    draw = random.Random(seed)
    end = time.monotonic() + seconds_max
    tried = 0
    for operation in choose(api.operations(), draw):
        if time.monotonic() > end:
            break
        api.try_out(operation, examples, draw)
        tried += 1
    logging.getLogger(__name__).warning("%d operations, answers: %s", tried, dict(api.codes))
    assert not api.bad, f"KNARR_FUZZ_SEED={seed}: {len(api.bad)} answers\n" + "\n".join(api.bad[:20])
    assert not errors.found, f"KNARR_FUZZ_SEED={seed}\n" + "\n".join(errors.found[:5])
    assert api.session.get(f"{api.url}/readyz", timeout=10).text == "ok"


def test_a_sample_of_operations(fuzzed):
    run(fuzzed, EXAMPLES, SECONDS_MAX, lambda found, draw: draw.sample(found, SAMPLE))


@pytest.mark.slow
def test_every_operation(fuzzed):
    run(fuzzed, SLOW_EXAMPLES, SLOW_SECONDS_MAX, lambda found, draw: draw.sample(found, len(found)))
