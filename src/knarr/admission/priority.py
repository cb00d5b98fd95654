"""A pod's priority comes from its class; at most one class is the default."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.registry.reader import Reader

GROUP, CLASSES = "scheduling.k8s.io", "priorityclasses"


class Priority(Plugin):
    name = "Priority"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._defaults: dict[str, Object] = {}
        reader.subscribe(GROUP, CLASSES, self._class_changed)

    def handles(self, target: Target) -> bool:
        kinds = (("", "pods"), (GROUP, CLASSES))
        mine = (target.group, target.resource) in kinds and not target.subresource
        return mine and target.operation in (CREATE, UPDATE)

    def admit(self, a: Attributes) -> None:
        if a.request.resource != "pods":
            return
        spec = a.obj["spec"]
        if a.operation == UPDATE:
            # an old client that does not know the fields must not be refused for leaving them out
            for key in ("priority", "preemptionPolicy"):
                if spec.get(key) is None and a.old["spec"].get(key) is not None:
                    spec[key] = a.old["spec"][key]
            return
        found = self._class_of(a, spec)
        value = found.get("value", 0)
        if spec.get("priority") not in (None, value):
            raise a.forbidden(
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
        spec["priority"] = value
        policy = found.get("preemptionPolicy")
        if policy is None:
            return
        if spec.get("preemptionPolicy") not in (None, policy):
            raise a.forbidden(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["preemptionPolicy"] = policy

    def validate(self, a: Attributes) -> None:
        if a.request.resource != CLASSES or not a.obj.get("globalDefault"):
            return
        default = self._default()
        # to create the default once more is refused as a second one, before anybody sees that it is there
        if default is not None and (a.operation == CREATE or default["metadata"]["name"] != a.name):
            raise a.forbidden(
                f"PriorityClass {default['metadata']['name']} is already marked as default. Only one default can exist"
            )

    def _class_of(self, a: Attributes, spec: Object) -> Object:
        name = spec.get("priorityClassName")
        if name:
            found = self._reader.get(GROUP, CLASSES, "", name)
            if found is None:
                raise a.forbidden(f"no PriorityClass with name {name} was found")
            return found
        default = self._default()
        if default is None:
            return {"value": 0, "preemptionPolicy": "PreemptLowerPriority"}
        spec["priorityClassName"] = default["metadata"]["name"]
        return default

    def _default(self) -> Object | None:
        """Two defaults can only come from two API servers; the lower one does less harm."""
        return min(
            self._defaults.values(), key=lambda c: (c.get("value", 0), c["metadata"]["name"]), default=None
        )

    def _class_changed(self, event: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        self._defaults.pop(name, None)
        if event != "DELETED" and obj.get("globalDefault"):
            self._defaults[name] = obj
