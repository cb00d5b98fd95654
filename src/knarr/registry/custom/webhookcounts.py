"""What /metrics tells of conversion webhooks, under kube-apiserver's names."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.meta.metrics import DOUBLING, Counters, Family, Histograms

#: upper bounds of apiserver_conversion_webhook_duration_seconds
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0)
#: how a call can fail
CALL = "conversion_webhook_call_failure"
MALFORMED = "conversion_webhook_malformed_response_failure"
PARTIAL = "conversion_webhook_partial_response_failure"
INVALID = "conversion_webhook_invalid_converted_object_failure"


class WebhookCounts:
    """The calls of all definitions' webhooks."""

    def __init__(self) -> None:
        labels = ("result", "failure_type")
        self._requests = Counters(
            "apiserver_conversion_webhook_request_total", "Calls of conversion webhooks.", *labels
        )
        self._durations = Histograms(
            "apiserver_conversion_webhook_duration_seconds",
            "How long calls of conversion webhooks took, in seconds.",
            BOUNDS,
            *labels,
        )
        self._conversions = Histograms(
            "apiserver_crd_conversion_webhook_duration_seconds",
            "How long conversions took that webhooks were called for, in seconds.",
            DOUBLING,
            *("crd_name", "from_version", "to_version", "succeeded"),
        )

    def called(self, seconds: float, failure: str) -> None:
        """One call; `failure` is "" where it went well."""
        labels = ("failure" if failure else "success", failure)
        self._requests.add(*labels)
        self._durations.observe(seconds, *labels)

    def converted(self, seconds: float, definition: str, before: str, after: str, succeeded: bool) -> None:
        """Objects of a definition, from one API version to another."""
        versions = before.rpartition("/")[2], after.rpartition("/")[2]
        self._conversions.observe(seconds, definition, *versions, str(succeeded).lower())

    def families(self) -> Iterator[Family]:
        for vector in (self._requests, self._durations, self._conversions):
            yield vector.family()
