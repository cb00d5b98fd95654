"""Environment, downward API, expansion, atomic files, mounts: tables."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1
from knarr.kubelet.process import address, atomic, cgroups
from knarr.kubelet.process.atomic import File
from knarr.kubelet.process.downward import Unsupported, field_value, map_text, resource_value
from knarr.kubelet.process.env import ConfigError, Place, environment
from knarr.kubelet.process.expand import expand
from knarr.kubelet.process.hosts import hosts_file
from knarr.kubelet.process.mounts import Mount, link, mounts_of
from tests.kubelet.pods import pod

PLACE = Place(("127.244.0.2",), ("192.0.2.1",), {"cpu": "4", "memory": "16Gi"}, "127.0.0.1", 6443)
RESOURCES = {"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m", "memory": "100Mi"}}
CONFIG = scheme().from_dict(
    core_v1.ConfigMap, {"metadata": {"name": "cm"}, "data": {"a": "1", "b-c": "2", "7": "x"}}
)
SECRET = scheme().from_dict(
    core_v1.Secret, {"metadata": {"name": "s"}, "data": {"pw": base64.b64encode(b"geheim").decode()}}
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("$(A)$(B)", "12"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("100%$", "100%$"),
        ("$$$$", "$$"),
        ("$()", "$()"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


def env_of(
    *variables: dict[str, Any], sources: Any = (), services: Any = (), skipped: Any = None
) -> dict[str, str]:
    container = {"name": "c", "env": list(variables), "envFrom": list(sources), "resources": RESOURCES}
    made = evolve(pod(container), metadata={"labels": {"app": "web"}})
    objects = {("configmap", "cm"): CONFIG, ("secret", "s"): SECRET}
    found = environment(
        made,
        made.spec.containers[0],
        PLACE,
        services,
        lambda kind, name: objects.get((kind, name)),
        (skipped if skipped is not None else []).append,
    )
    return {name: value for name, value in found.items() if not name.startswith("KUBERNETES_")}


def from_(**source: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": source}


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ({"name": "V", "value": "x"}, {"V": "x"}),
        ({"name": "V"}, {"V": ""}),
        (from_(fieldRef={"fieldPath": "metadata.name"}), {"V": "p"}),
        (from_(fieldRef={"fieldPath": "metadata.labels['app']"}), {"V": "web"}),
        (from_(fieldRef={"fieldPath": "status.podIP"}), {"V": "127.244.0.2"}),
        (from_(fieldRef={"fieldPath": "status.hostIP"}), {"V": "192.0.2.1"}),
        (from_(resourceFieldRef={"resource": "limits.cpu"}), {"V": "2"}),
        (from_(resourceFieldRef={"resource": "limits.cpu", "divisor": "1m"}), {"V": "1500"}),
        (from_(resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"}), {"V": "100"}),
        (from_(resourceFieldRef={"resource": "requests.memory"}), {"V": "104857600"}),
        (from_(configMapKeyRef={"name": "cm", "key": "a"}), {"V": "1"}),
        (from_(secretKeyRef={"name": "s", "key": "pw"}), {"V": "geheim"}),
        (from_(configMapKeyRef={"name": "nope", "key": "a", "optional": True}), {}),
        (from_(secretKeyRef={"name": "s", "key": "nope", "optional": True}), {}),
    ],
)
def test_values(variable: dict[str, Any], expected: dict[str, str]) -> None:
    assert env_of(variable) == expected


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (from_(configMapKeyRef={"name": "nope", "key": "a"}), 'configmap "nope" not found'),
        (from_(secretKeyRef={"name": "nope", "key": "a"}), 'secret "nope" not found'),
        (from_(configMapKeyRef={"name": "cm", "key": "z"}), "couldn't find key z in ConfigMap default/cm"),
        (from_(secretKeyRef={"name": "s", "key": "z"}), "couldn't find key z in Secret default/s"),
    ],
)
def test_what_is_missing_is_named(variable: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        env_of(variable)


def test_later_variables_see_earlier_ones() -> None:
    env = env_of({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}, {"name": "C", "value": "$(D)"})
    assert env == {"A": "1", "B": "12", "C": "$(D)"}


def test_env_from_takes_all_keys_that_can_be_names() -> None:
    skipped: list[str] = []
    sources = [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}]
    env = env_of({"name": "P_a", "value": "mine"}, sources=sources, skipped=skipped)
    assert env == {"P_a": "mine", "P_b-c": "2", "P_7": "x", "pw": "geheim"}
    with pytest.raises(ConfigError, match='configmap "nope" not found'):
        env_of(sources=[{"configMapRef": {"name": "nope"}}])
    assert env_of(sources=[{"configMapRef": {"name": "nope", "optional": True}}]) == {}


def test_services_of_the_namespace_are_linked() -> None:
    service = {
        "metadata": {"name": "my-db", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]},
    }
    elsewhere = {**service, "metadata": {"name": "other", "namespace": "kube-system"}}
    headless = {"metadata": {"name": "h", "namespace": "default"}, "spec": {"clusterIP": "None"}}
    services = [scheme().from_dict(core_v1.Service, s) for s in (service, elsewhere, headless)]
    assert env_of(services=services) == {
        "MY_DB_SERVICE_HOST": "10.96.0.9",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_PORT": "tcp://10.96.0.9:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.0.9:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.9",
    }


def test_the_api_server_is_always_there() -> None:
    made = pod("c")
    env = environment(made, made.spec.containers[0], PLACE, (), lambda kind, name: None)
    assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "6443")


def test_downward_files() -> None:
    assert map_text({"b": 'x"y', "a": "1"}) == 'a="1"\nb="x\\"y"'
    with pytest.raises(Unsupported):
        field_value(pod("c"), "spec.containers", (), ())
    reference = scheme().from_dict(
        core_v1.ResourceFieldSelector, {"containerName": "c", "resource": "limits.memory"}
    )
    assert resource_value(pod("c"), None, reference, {"memory": "2Ki"}) == "2048"


FILES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d/e", "d/f", "g/h/i"]), st.binary(max_size=9), max_size=5
)


@given(st.lists(FILES, min_size=1, max_size=4))
def test_atomic_volumes_hold_exactly_what_they_should(
    tmp_path_factory: Any, steps: list[dict[str, bytes]]
) -> None:
    volume = tmp_path_factory.mktemp("volume")
    for files in steps:
        atomic.write(volume, {name: File(content) for name, content in files.items()})
        seen = {
            str(path.relative_to(volume)): path.read_bytes()
            for entry in volume.iterdir()
            if not entry.name.startswith("..")
            for path in ([entry] if entry.is_file() else entry.rglob("*"))
            if path.is_file()
        }
        assert seen == files
        assert len([e for e in volume.iterdir() if e.name.startswith("..")]) == 2  # ..data and what it names


def test_an_unchanged_volume_is_not_written_again(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": File(b"1")})
    before = os.readlink(tmp_path / "..data")
    assert not atomic.write(tmp_path, {"a": File(b"1")})
    assert os.readlink(tmp_path / "..data") == before
    assert atomic.write(tmp_path, {"a": File(b"1", 0o600)})


def container(*mounts: dict[str, Any]) -> Any:
    return pod({"name": "c", "volumeMounts": list(mounts)}).spec.containers[0]


def test_sub_paths(tmp_path: Path) -> None:
    made = mounts_of(
        container(
            {"name": "v", "mountPath": "/data/", "readOnly": True},
            {"name": "v", "mountPath": "/x", "subPath": "in/side"},
            {"name": "v", "mountPath": "/y", "subPathExpr": "$(NAME)"},
        ),
        {"v": tmp_path},
        {"NAME": "me"},
    )
    assert made == [
        Mount(tmp_path, "/data", True),
        Mount(tmp_path / "in/side", "/x"),
        Mount(tmp_path / "me", "/y"),
    ]
    assert (tmp_path / "in/side").is_dir()


@pytest.mark.parametrize(
    "mount",
    [
        {"name": "v", "mountPath": "/x", "subPath": "link/y"},
        {"name": "v", "mountPath": "/x", "subPathExpr": "$(UNKNOWN)"},
        {"name": "nope", "mountPath": "/x"},
    ],
)
def test_mounts_that_cannot_be(tmp_path: Path, mount: dict[str, Any]) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(ConfigError):
        mounts_of(container(mount), {"v": tmp_path}, {})


def test_links_stand_in_for_mounts(tmp_path: Path) -> None:
    volume, file, root = tmp_path / "v", tmp_path / "f", tmp_path / "root"
    volume.mkdir()
    file.write_text("x")
    link(root, [Mount(volume, "/var/data"), Mount(file, "/etc/one.conf"), Mount(volume, "/var/data/nested")])
    assert (root / "var/data").resolve() == volume
    assert (root / "etc/one.conf").read_text() == "x"
    assert not (volume / "nested").exists()


@pytest.mark.parametrize(
    ("pod_ip", "platform", "expected"),
    [
        ("10.244.0.5", "linux", "127.244.0.5"),
        ("10.244.0.5", "darwin", "127.0.0.1"),
        ("fd00::5", "linux", "127.0.0.1"),
    ],
)
def test_where_a_pod_really_is(pod_ip: str, platform: str, expected: str) -> None:
    assert address.local(pod_ip, platform) == expected


def test_cgroup_settings() -> None:
    resources = pod({"name": "c", "resources": RESOURCES}).spec.containers[0].resources
    assert cgroups.settings(resources) == {
        "cpu.max": "150000 100000",
        "cpu.weight": "10",
        "memory.max": "104857600",
        "memory.oom.group": "1",
    }
    assert cgroups.rlimits(resources) == [("RLIMIT_DATA", 104857600)]
    assert cgroups.settings(None) == {}


def test_hosts_file() -> None:
    made = pod("c", hostAliases=[{"ip": "192.0.2.9", "hostnames": ["a", "b"]}], subdomain="sub")
    text = hosts_file(made, "127.244.0.2")
    assert "127.244.0.2\tp.sub.default.svc.cluster.local\tp\n" in text
    assert text.endswith("# Entries added by HostAliases.\n192.0.2.9\ta\tb\n")
