"""kubeconfig: read as kubectl reads, written without losing a line."""

from __future__ import annotations

import asyncio
import base64
import os
import stat
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from knarr.client import kubeconfig
from knarr.client.credentials import Credentials
from knarr.client.kubeconfig import Access, KubeconfigError
from knarr.client.yamledit import Document

THEIRS = """\
# my clusters, do not touch
apiVersion: v1
clusters:
# the big one
- cluster:
    certificate-authority: ca.crt   # relative
    server: https://prod:6443
  name: prod
- cluster: {server: "https://stage:6443", insecure-skip-tls-verify: true}
  name: stage
contexts:
- context:
    cluster: prod
    namespace: shop
    user: me
  name: prod
current-context: prod   # careful
kind: Config
preferences: {}
users:
- name: me
  user:
    tokenFile: secrets/token
    # exec would be better
x-unknown: [1, 2]
"""

KNARR = kubeconfig.entries(
    "knarr", "https://127.0.0.1:7443", ca=b"CA", client_certificate=b"CERT", client_key=b"KEY"
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def file(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# -- reading ------------------------------------------------------------------------------------------------------


def test_a_context_is_resolved(tmp_path):
    path = file(tmp_path / "config", THEIRS)
    file(tmp_path / "ca.crt", "PEM")
    assert kubeconfig.load(path) == Access(
        server="https://prod:6443",
        namespace="shop",
        context="prod",
        ca=b"PEM",
        token_file=str(tmp_path / "secrets/token"),
    )


def test_home_is_the_default(tmp_path):
    kubeconfig.write(file(tmp_path / "home/.kube/config", ""), KNARR)
    access = kubeconfig.load()
    assert (access.server, access.ca, access.client_certificate, access.client_key, access.namespace) == (
        "https://127.0.0.1:7443",
        b"CA",
        b"CERT",
        b"KEY",
        "default",
    )


def test_of_several_files_the_first_wins_and_missing_ones_are_skipped(tmp_path, monkeypatch):
    first = file(tmp_path / "a/config", yaml.safe_dump(kubeconfig.entries("x", "https://first")))
    second = yaml.safe_dump(
        {
            **kubeconfig.entries("x", "https://second"),
            "contexts": [{"name": "y", "context": {"cluster": "only", "user": ""}}],
            "clusters": [
                {"name": "x", "cluster": {"server": "https://second"}},
                {"name": "only", "cluster": {"server": "https://only", "certificate-authority": "ca"}},
            ],
        }
    )
    file(tmp_path / "b/config", second)
    file(tmp_path / "b/ca", "B")
    paths = [tmp_path / "missing", first, tmp_path / "b/config"]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
    assert kubeconfig.load().server == "https://first"
    only = kubeconfig.load(context="y")
    assert (only.server, only.ca) == ("https://only", b"B")
    assert kubeconfig.default_path() == first


def test_in_a_pod(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    for name, text in (("token", "t"), ("ca.crt", "CA"), ("namespace", "ns\n")):
        file(tmp_path / name, text)
    access = kubeconfig.in_cluster(tmp_path)
    assert (access.server, access.namespace, access.ca) == ("https://[fd00::1]:443", "ns", b"CA")
    with pytest.raises(KubeconfigError, match="not in a cluster"):
        kubeconfig.load()  # the default directory has no token here


CLUSTER = "clusters: [{name: c, cluster: {server: https://x}}]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no context is chosen: the kubeconfig has no current-context"),
        ("a: [", "config: not YAML: while parsing a flow node"),
        ("- 1", "config: not a kubeconfig: expected a mapping"),
        ("clusters: 7", "config: clusters must be a list"),
        ("users: [{}]", r"config: users\[0\] has no name"),
        ("users: [{name: a, user: text}]", r"config: users\[0\].user must be a mapping"),
        ("current-context: a", 'context "a" does not exist'),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]",
            'context "a" names the cluster "b", which does not exist',
        ),
        (
            CLUSTER + "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]",
            'context "a" names the user "u", which does not exist',
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, cluster: {}}]",
            'cluster "c" has no server',
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {server: s, certificate-authority: nowhere}}]",
            "certificate-authority: No such file or directory: .*/nowhere",
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {server: s, certificate-authority-data: '%'}}]",
            "certificate-authority-data is not base64",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.load(file(tmp_path / "config", text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KubeconfigError, match="nowhere: no such kubeconfig"):
        kubeconfig.load(tmp_path / "nowhere")


# -- writing ------------------------------------------------------------------------------------------------------


def test_merging_leaves_every_other_line_as_it_is(tmp_path, run):
    path = file(tmp_path / "config", THEIRS)
    run(kubeconfig.merge(path, KNARR))
    text = path.read_text()
    ours = {"current-context: knarr   # careful"}
    assert [line for line in THEIRS.splitlines() if line not in text.splitlines()] == [
        "current-context: prod   # careful"
    ]
    assert ours <= set(text.splitlines())
    assert kubeconfig.load(path).server == "https://127.0.0.1:7443"
    assert yaml.safe_load(text)["x-unknown"] == [1, 2]
    run(kubeconfig.set_current_context(path, "prod"))
    run(kubeconfig.remove(path, "knarr"))
    assert path.read_text() == THEIRS


def test_merging_again_replaces_but_keeps_a_context_s_namespace(tmp_path, run):
    path = tmp_path / "config"
    run(kubeconfig.merge(path, KNARR))
    path.write_text(
        path.read_text().replace("    user: knarr\n", "    user: knarr\n    namespace: mine # I chose\n")
    )
    run(kubeconfig.merge(path, kubeconfig.entries("knarr", "https://127.0.0.1:9999", token="t")))
    access = kubeconfig.load(path)
    assert (access.server, access.namespace, access.token, access.client_key) == (
        "https://127.0.0.1:9999",
        "mine",
        "t",
        None,
    )
    assert len(yaml.safe_load(path.read_text())["users"]) == 1


def test_a_new_file_is_for_its_owner_only_and_an_old_one_keeps_its_mode(tmp_path, run):
    path = tmp_path / "new/dir/config"
    run(kubeconfig.merge(path, KNARR))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    run(kubeconfig.remove(path, "knarr"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(p.name for p in path.parent.iterdir()) == ["config"]  # neither lock nor temporary file
    assert yaml.safe_load(path.read_text()) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [],
        "contexts": [],
        "users": [],
        "current-context": "",
    }


def test_a_link_stays_a_link(tmp_path, run):
    real = file(tmp_path / "real", THEIRS)
    link = tmp_path / "config"
    link.symlink_to(real)
    run(kubeconfig.merge(link, KNARR))
    assert link.is_symlink()
    assert "knarr" in real.read_text()


def test_not_made_current_unless_asked(tmp_path, run):
    path = file(tmp_path / "config", THEIRS)
    run(kubeconfig.merge(path, KNARR, make_current=False))
    assert (
        kubeconfig.load(path, "prod")
        if False
        else yaml.safe_load(path.read_text())["current-context"] == "prod"
    )


def test_writers_wait_for_each_other(tmp_path, run, loop):
    path = file(tmp_path / "config", THEIRS)
    lock = file(tmp_path / "config.lock", "")

    async def main():
        merging = asyncio.create_task(kubeconfig.merge(path, KNARR))
        await asyncio.sleep(1)
        assert path.read_text() == THEIRS
        lock.unlink()
        await merging
        assert not lock.exists()

    run(main())
    lock.write_text("")
    with pytest.raises(KubeconfigError, match="config.lock exists: another program is writing"):
        run(kubeconfig.remove(path, "knarr"))
    assert lock.exists()


def test_a_file_that_is_no_kubeconfig_is_not_touched(tmp_path, run):
    path = file(tmp_path / "config", "- a\n- b\n")
    with pytest.raises(KubeconfigError, match="expected a mapping"):
        run(kubeconfig.merge(path, KNARR))
    assert path.read_text() == "- a\n- b\n"
    assert not (tmp_path / "config.lock").exists()


def test_a_context_that_does_not_exist_cannot_be_current(tmp_path, run):
    path = file(tmp_path / "config", THEIRS)
    with pytest.raises(KubeconfigError, match='context "nope" does not exist'):
        run(kubeconfig.set_current_context(path, "nope"))
    assert path.read_text() == THEIRS


# -- line edits -----------------------------------------------------------------------------------------------------

STYLES = [
    "users:\n- name: a\n  user: {}\n",
    "users:\n  - name: a\n    user:\n      token: |\n        block\n\n  # tail\nkind: Config",
    "users: []\n",
    "users: [] # none yet\nkind: Config\n",
    "users:\nkind: Config\n",
    "users: null\n",
    "kind: Config",
    "{users: [{name: a, user: {}}], kind: Config}",
    '{"users": []}',
    "users: [{name: a, user: {token: x}}]\n",
    "base: &b {token: x}\nusers:\n- name: a\n  user: *b\n",
    "users:\n- {name: a, user: {}}\n-   user:\n        token: x\n    name: b\n",
    "---\nusers:\n- name: a\n  user: {}\n",
    "users:\n-\n  name: a\n  user: {}\n",
    "",
]


@pytest.mark.parametrize("text", STYLES)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "remove", "set"]),
            st.sampled_from("abc"),
            st.sampled_from(["", "v", "a: b#"]),
        ),
        max_size=6,
    )
)
def test_whatever_the_style_the_content_is_what_was_meant(text, steps):
    document = Document(text)
    model = yaml.safe_load(text) or {}
    for step, name, value in steps:
        if step == "set":
            document.set("current-context", value)
            model["current-context"] = value
        elif step == "put":
            item = {"name": name, "user": {"token": value}}
            document.put_item("users", item)
            items = model["users"] = model.get("users") or []
            names = [i["name"] for i in items]
            if name in names:
                items[names.index(name)] = item
            else:
                items.append(item)
        else:
            document.remove_item("users", name)
            if any(item["name"] == name for item in model.get("users") or []):
                model["users"] = [item for item in model["users"] if item["name"] != name]
        assert (yaml.safe_load(document.text) or {}) == model == document.data


@pytest.mark.parametrize("text", [style for style in STYLES if "#" in style])
def test_comments_stay(text):
    document = Document(text)
    document.put_item("users", {"name": "z", "user": {}})
    document.set("current-context", "z")
    document.remove_item("users", "z")
    assert text[text.index("#") :].partition("\n")[0] in document.text


# -- credentials -----------------------------------------------------------------------------------------------------


def test_a_token_file_is_read_again_when_it_may_have_changed(run, tmp_path, world):
    async def main():
        path = file(tmp_path / "token", "one\n")
        credentials = Credentials(Access("https://x", token_file=str(path)), world.clock)
        tokens = [(await credentials.current()).token]
        path.write_text("two")
        tokens.append((await credentials.current()).token)
        await asyncio.sleep(61)
        tokens.append((await credentials.current()).token)
        path.write_text("three")
        assert credentials.expire()  # the server said 401
        tokens.append((await credentials.current()).token)
        return tokens

    assert run(main()) == ["one", "one", "two", "three"]


def plugin(code, **more):
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-I", "-S", "-c", code],
        **more,
    }


PRINTS = """
import os, json
print(json.dumps({"apiVersion": json.loads(os.environ["KUBERNETES_EXEC_INFO"])["apiVersion"], "kind": "ExecCredential",
  "status": {"token": os.environ["WHO"], "expirationTimestamp": "2100-01-01T00:00:00Z"}}))
"""


def test_an_exec_plugin_gives_the_token(world):
    async def main():
        spec = plugin(PRINTS, env=[{"name": "WHO", "value": "me"}])
        return (await Credentials(Access("https://x", exec=spec), world.clock).current()).token

    assert asyncio.run(main()) == "me"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (plugin("raise SystemExit(3)"), "exit code 3"),
        (plugin("print('{')"), "no ExecCredential"),
        (plugin("print('{}')"), "no ExecCredential"),
        (
            plugin("""print('{"apiVersion":"client.authentication.k8s.io/v1","status":{}}')"""),
            "neither a token nor a client certificate",
        ),
        (
            plugin("", command="/nowhere/plugin", installHint="Get it from us."),
            "/nowhere/plugin: No such file or directory. Get it from us.",
        ),
        (plugin("", apiVersion="v0"), "unknown apiVersion 'v0'"),
    ],
)
def test_what_an_exec_plugin_can_do_wrong(world, spec, message):
    async def main():
        with pytest.raises(KubeconfigError, match=message):
            await Credentials(Access("https://x", exec=spec), world.clock).current()

    asyncio.run(main())


def test_entries_carry_what_they_were_given():
    (user,) = kubeconfig.entries("n", "s", client_certificate=b"C", client_key=b"K")["users"]
    assert base64.b64decode(user["user"]["client-key-data"]) == b"K"


def test_what_is_no_file_is_not_replaced_by_one(run, tmp_path):
    """KUBECONFIG=/dev/null must not cost root the device: shown with a pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    try:
        run(kubeconfig.merge(pipe, KNARR))
        run(kubeconfig.remove(pipe, "knarr"))
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        assert b"current-context: knarr" in os.read(reader, 65536)
    finally:
        os.close(reader)
