"""Services as the registry makes them: addresses and ports first, then the rest."""

from knarr.api.core import serviceaddresses

from .kindcases import Resource

SERVICES = Resource("services")

FAMILIES = ("IPv4",)


def stored(body, old=None):
    """A service that was created."""
    obj = SERVICES.defaulted(body)
    assert not allocate(obj, old)
    SERVICES.kind.prepare_for_create(obj)
    return obj


def allocate(obj, old=None, families=FAMILIES, taken=()):
    """Addresses and ports for a service; the first free ones are 10.96.0.77, fd00::77 and 30333, 30334 ..."""
    serviceaddresses.normalize_cluster_ips(obj, old)
    free = iter(range(30333, 30400))

    def take(*wanted):
        return "provided port is already allocated" if wanted[-1] in taken else None

    return (
        serviceaddresses.init_ip_families(obj, old, families)
        or serviceaddresses.allocate_cluster_ips(
            obj, old, take, lambda family: "10.96.0.77" if family == "IPv4" else "fd00::77"
        )
        or serviceaddresses.allocate_node_ports(obj, old, take, lambda what: next(free))
    )
