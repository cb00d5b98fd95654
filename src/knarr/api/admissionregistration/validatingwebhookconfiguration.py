"""ValidatingWebhookConfiguration: who may refuse requests."""

from __future__ import annotations

from knarr.api.admissionregistration.webhooks import WebhookConfiguration


class ValidatingWebhookConfiguration(WebhookConfiguration):
    mutating = False
