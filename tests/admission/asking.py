"""Objects, and requests with them to one plugin."""

import copy

from knarr.admission.attributes import Attributes
from knarr.admission.chain import Chain
from knarr.registry.context import Request, UserInfo

from ..auth.memory_reader import refusal, run


def pod(name="p", **spec):
    spec = {"containers": [{"name": "c", "image": "i"}]} | spec
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": copy.deepcopy(spec)}


def container(name="c", requests=None, limits=None):
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"name": name, "resources": resources}


def claim(size="1Gi", **spec):
    spec = {"resources": {"requests": {"storage": size}}} | spec
    return {"metadata": {"name": "c", "namespace": "ns"}, "spec": spec, "status": {"phase": "Bound"}}


def attributes(obj=None, resource="pods", operation="CREATE", old=None, group="", sub="", user=None, name=""):
    shown = obj or old or {"metadata": {}}
    name = name or ("" if operation == "CREATE" else shown["metadata"].get("name", ""))
    namespace = shown["metadata"].get("namespace", "")
    request = Request(
        operation.lower(), "", group, "v1", resource, sub, namespace, name, user or UserInfo("jane")
    )
    return Attributes(request, operation, (group, "v1", ""), copy.deepcopy(obj), old)


def admit(plugin, obj=None, *args, **more):
    """The object after both phases of one plugin, which must handle the request."""
    a = attributes(obj, *args, **more)
    assert plugin.handles(a.target), a.target

    async def both():
        chain = Chain([plugin])
        await chain.admit(a)
        await chain.validate(a)

    run(both())
    return a.obj


def refused(plugin, *args, **more):
    return refusal(lambda: admit(plugin, *args, **more))
