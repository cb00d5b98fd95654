"""Outgoing HTTPS calls to what webhooks and aggregation name: by URL, or by a Service of this cluster.

    egress.py   `Egress`: the one pool of connections; `Answer`
    errors.py   `EgressError`, `ConfigError`
    routes.py   `Route`: where a Service is, as whoever made the Egress says
    services.py how aiohttp asks for that
    address.py  from a WebhookClientConfig to the URL that is called
    trust.py    whom a call trusts: TLS contexts by authority
    words.py    failures in the words of Go's net/http; refusals in those of client-go's REST client

Nothing is imported or opened before the first call. Egress does not know objects: who makes it says where a Service is.
"""

from __future__ import annotations

from knarr.egress.egress import Answer, Egress
from knarr.egress.errors import ConfigError, EgressError
from knarr.egress.routes import Route
from knarr.egress.words import refusal

__all__ = ["Answer", "ConfigError", "Egress", "EgressError", "Route", "refusal"]
