"""The config map kube-root-ca.crt of every namespace: by it pods know the API server's certificate."""

from __future__ import annotations

from typing import Any

from knarr.api.scheme import evolve
from knarr.api.types import core_v1
from knarr.client.client import Client, is_already_exists, is_not_found, namespace_terminating
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta.errors import StatusError
from knarr.world import World

NAME = "kube-root-ca.crt"
DESCRIPTION_KEY = "kubernetes.io/description"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the"
    " internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes"
    " clusters."
)


class RootCAPublisher(KubeController):
    """Keys are namespaces. `root_ca`: the certificates in PEM."""

    name = "root-ca-certificate-publisher-controller"
    service_account = "root-ca-cert-publisher"
    settings = ("root_ca",)

    def __init__(self, client: Client, informers: SharedInformers, world: World, root_ca: str = "") -> None:
        super().__init__(client, informers, world)
        self.root_ca = root_ca
        self.namespaces = self.watch(core_v1.Namespace, self.enqueue, lambda _, new: self.enqueue(new))
        self.config_maps = self.watch(
            core_v1.ConfigMap,
            updated=lambda _, new: self._changed(new),
            deleted=self._changed,
            field_selector=f"metadata.name={NAME}",
        )

    def _changed(self, config_map: Any) -> None:
        self.queue.add(Key("", config_map.metadata.namespace))

    async def reconcile(self, key: Key) -> None:
        namespace = self.namespaces.indexer.get(key)
        if namespace is None or namespace.status.phase != "Active":
            return
        present = self.config_maps.indexer.get((key.name, NAME))
        data, annotations = {"ca.crt": self.root_ca}, {DESCRIPTION_KEY: DESCRIPTION}
        if present is None:
            await self._create(key.name, data, annotations)
        elif present.data != data or present.metadata.annotations.get(DESCRIPTION_KEY) != DESCRIPTION:
            annotations = {**present.metadata.annotations, **annotations}
            await self._update(evolve(present, data=data, metadata={"annotations": annotations}))

    async def _create(self, namespace: str, data: dict[str, str], annotations: dict[str, str]) -> None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": annotations}
        try:
            await self.client.create(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            )
        except StatusError as error:
            if not is_already_exists(error) and not namespace_terminating(error):
                raise

    async def _update(self, config_map: Any) -> None:
        try:
            await self.client.update(config_map)
        except StatusError as error:
            if not is_not_found(error):  # its deletion brings the key back
                raise
