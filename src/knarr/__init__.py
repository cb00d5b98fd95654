"""knarr: Kubernetes in one Python process."""
