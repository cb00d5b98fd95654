"""HorizontalPodAutoscaler: as many replicas as the metrics ask for, within limits and not too fast.

Metrics come from the APIs metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io, which other servers
serve (metrics-server, adapters); without them an autoscaler says so in its conditions, as in Kubernetes.
"""

from __future__ import annotations

from knarr.controllers.podautoscaler.controller import HorizontalPodAutoscalerController

__all__ = ["HorizontalPodAutoscalerController"]
