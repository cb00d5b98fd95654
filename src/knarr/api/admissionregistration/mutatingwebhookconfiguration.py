"""MutatingWebhookConfiguration: who may change objects on their way in."""

from __future__ import annotations

from knarr.api.admissionregistration.webhooks import WebhookConfiguration


class MutatingWebhookConfiguration(WebhookConfiguration):
    mutating = True
