"""An API server without a port, and a webhook server of the test's own that it calls over HTTPS."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.meta.errors import StatusError
from knarr.registry.context import Request, UserInfo
from knarr.store.memory import MemoryStore
from knarr.world import World
from tests.egress.servers import Authority, Seen, WebServer

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
JANE = UserInfo("jane", uid="7", groups=("devs", "system:masters"), extra={"scopes": ("a", "b")})


def patch(*operations: Object) -> Object:
    """What a mutating webhook answers to change something."""
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def label(name: str, value: str = "x") -> Object:
    """Adds a label to an object that has some."""
    return patch({"op": "add", "path": f"/metadata/labels/{name}", "value": value})


def convert(review: Object) -> Object:
    """A conversion that notes in the spec which versions an object has been through."""
    request, wanted = review["request"], review["request"]["desiredAPIVersion"]
    objects = []
    for obj in request["objects"]:
        way = [*obj["spec"].get("way", ()), f"{obj['apiVersion'][-2:]}-{wanted[-2:]}"]
        objects.append({**obj, "apiVersion": wanted, "spec": {**obj["spec"], "way": way}})
    head = {"kind": review["kind"], "apiVersion": review["apiVersion"]}
    result = {"status": "Success"}
    return {**head, "response": {"uid": request["uid"], "result": result, "convertedObjects": objects}}


class Scene:
    """`answers` says what the webhook at a path answers: a function of the AdmissionRequest to fields of the response,
    or to a whole (code, headers, body)."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        world = World()
        config = Config(serve=False, nodes=0, controllers=False, scheduler=False)
        self.plane = ControlPlane(config, world, MemoryStore(world))
        self.answers: dict[str, Callable[[Object], Any]] = {}
        #: AdmissionRequests in the order they came, with the path they came to
        self.asked: list[tuple[str, Object]] = []
        self.last = Request("get")

    async def __aenter__(self) -> Scene:
        await self.plane.start()
        self.server = WebServer(self._authority.context("127.0.0.1"), self._answer)
        await self.server.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.plane.stop()
        await self.server.__aexit__()

    async def _answer(self, seen: Seen) -> Any:
        review = json.loads(seen.body)
        path = seen.url.partition("?")[0].strip("/")
        if review["kind"] == "ConversionReview":
            return 200, {}, json.dumps(convert(review)).encode()
        self.asked.append((path, review["request"]))
        answer = self.answers.get(path, lambda request: {})(review["request"])
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer is None or isinstance(answer, tuple):
            return answer
        response = {"uid": review["request"]["uid"], "allowed": True, **answer}
        head = {"kind": "AdmissionReview", "apiVersion": review["apiVersion"]}
        return 200, {}, json.dumps({**head, "response": response}).encode()

    # -- webhooks ------------------------------------------------------------------------------------------

    def webhook(self, name: str, **fields: Any) -> Object:
        """One that is asked about everything with a label, at /<first part of its name>."""
        return {
            "name": name,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {
                "url": f"https://127.0.0.1:{self.server.port}/{name.partition('.')[0]}",
                "caBundle": self._authority.bundle,
            },
            "rules": [rule()],
            "objectSelector": {"matchExpressions": [{"key": "hook", "operator": "Exists"}]},
            **fields,
        }

    async def configure(self, kind: str, *webhooks: Object, name: str = "it") -> Object:
        """`kind` is Mutating or Validating."""
        kind = f"{kind}WebhookConfiguration"
        obj = {
            "kind": kind,
            "apiVersion": f"{GROUP}/v1",
            "metadata": {"name": name},
            "webhooks": list(webhooks),
        }
        return await self.create(obj, f"{kind.lower()}s", group=GROUP, namespace="")

    # -- requests ------------------------------------------------------------------------------------------

    async def do(self, verb: str, resource: str, body: Any = None, **where: Any) -> Object:
        """Raises StatusError."""
        query = where.pop("query", {})
        type_ = where.pop("content_type", "application/json")
        facts = {"group": "", "version": "v1", "namespace": "default", "user": JANE, **where}
        self.last = Request(verb, resource=resource, query=query, user_agent="tester/1", **facts)
        data = b"" if body is None else json.dumps(body).encode()
        return json.loads((await self.plane.operations.serve(self.last, data, type_)).body)

    async def create(self, obj: Object, resource: str = "configmaps", **where: Any) -> Object:
        return await self.do("create", resource, obj, **where)

    async def refusal(self, verb: str, resource: str, body: Any = None, **where: Any) -> Object:
        """The Status that a request is answered with."""
        try:
            found = await self.do(verb, resource, body, **where)
        except StatusError as error:
            return error.status
        raise AssertionError(f"not refused: {found}")


def rule(**fields: Any) -> Object:
    return {
        "operations": ["*"],
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "resources": ["*/*"],
        **fields,
    }


def config_map(name: str = "m", **more: Any) -> Object:
    metadata = {"name": name, "labels": {"hook": "yes"}} | more.pop("metadata", {})
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, **more}


def run(coroutine: Any) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))
