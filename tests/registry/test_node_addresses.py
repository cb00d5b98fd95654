"""A node that says nowhere where it is cannot be asked for logs."""

import pytest

from knarr.api.nodeapi import NodeConnections
from knarr.apiserver.streaming import pods
from knarr.meta.errors import StatusError


@pytest.mark.parametrize(
    "body,message,reason",
    [
        ({}, "no preferred addresses found; known addresses: []", None),
        (
            {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}},
            "Internal error occurred: error dialing backend: node n is not connected to this API server",
            "InternalError",
        ),
    ],
)
def test_where_a_node_is(api, run, body, message, reason):
    async def story():
        await api("POST", "/api/v1/nodes", {"metadata": {"name": "n"}, **body})
        with pytest.raises(StatusError) as refused:
            pods.connection(api.registry, NodeConnections(), "n")
        assert refused.value.code == 500
        assert (refused.value.status["message"], refused.value.status.get("reason")) == (message, reason)

    run(story())
