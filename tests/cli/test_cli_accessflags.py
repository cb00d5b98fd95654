"""kube-apiserver's flags on `knarr up`: how they are read and kept, and what they come to."""

import json

import click
import pytest
from click.testing import CliRunner

from knarr.auth.configuration.settings import AuthenticationSettings, AuthorizationSettings
from knarr.cli import accessflags, home, up


def given(*arguments):
    """What click makes of a command line."""

    @click.command()
    def command(**values):
        click.echo(json.dumps(values))

    for option in reversed(accessflags.OPTIONS):
        command = option(command)
    found = CliRunner().invoke(command, list(arguments))
    return json.loads(found.output) if found.exit_code == 0 else found.output


def settings(*arguments):
    found = accessflags.settings_of(given(*arguments))
    return found["authentication"], found["authorization"]


def test_nothing_given_is_the_default():
    assert set(given().values()) == {None}
    assert settings() == (AuthenticationSettings(), AuthorizationSettings())


@pytest.mark.parametrize(
    "arguments,authentication",
    [
        (["--anonymous-auth=false"], {"anonymous_auth": False}),
        (["--anonymous-auth", "true"], {"anonymous_auth": True}),
        (["--oidc-signing-algs", "RS256,ES256"], {"oidc_signing_algs": ("RS256", "ES256")}),
        (
            ["--oidc-required-claim", "a=b,c", "--oidc-required-claim=d=e"],
            {"oidc_required_claim": ("a=b,c", "d=e")},
        ),
        (
            ["--authentication-token-webhook-cache-ttl", "1m30s"],
            {"authentication_token_webhook_cache_ttl": 90.0},
        ),
        (
            ["--service-account-issuer", "https://a", "--service-account-issuer", "https://b"],
            {"service_account_issuer": ("https://a", "https://b")},
        ),
        (["--oidc-username-claim", ""], {}),
        (["--oidc-signing-algs", ""], {}),
    ],
)
def test_flags_of_authentication(arguments, authentication):
    assert settings(*arguments) == (AuthenticationSettings(**authentication), AuthorizationSettings())


def test_flags_of_authorization():
    found = settings(
        "--authorization-mode=Node,RBAC",
        "--authorization-mode",
        "Webhook",
        "--authorization-webhook-version",
        "v1",
    )
    expected = AuthorizationSettings(
        authorization_mode=("Node", "RBAC", "Webhook"), authorization_webhook_version="v1"
    )
    assert found[1] == expected


def test_paths_are_those_of_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = given("--token-auth-file", "tokens.csv", "--service-account-key-file=a.pub,/b.pub")
    assert found["token_auth_file"] == str(tmp_path / "tokens.csv")
    assert found["service_account_key_file"] == [str(tmp_path / "a.pub"), "/b.pub"]


def test_mistakes_that_can_be_seen_at_once():
    assert 'time: invalid duration "soon"' in given("--authorization-webhook-cache-authorized-ttl", "soon")
    assert "is not a valid boolean" in given("--anonymous-auth", "perhaps")


def test_they_stay_with_the_cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("KNARR_HOME", str(tmp_path))
    place = home.Place("x")
    nothing = dict.fromkeys(up.KEPT)
    first = up.merged(place, {**nothing, "authorization_mode": ["AlwaysDeny"], "oidc_client_id": "a"})
    monkeypatch.setattr(home.Place, "read", lambda self: {"settings": json.loads(json.dumps(first))})
    again = up.merged(place, nothing)
    assert accessflags.settings_of(again)["authorization"].modes == ("AlwaysDeny",)
    back = up.merged(place, {**nothing, "authorization_mode": [], "oidc_client_id": ""})
    assert accessflags.settings_of(back) == accessflags.settings_of({})


def test_every_setting_has_its_flag():
    import dataclasses

    fields = {
        field.name
        for kind in (AuthenticationSettings, AuthorizationSettings)
        for field in dataclasses.fields(kind)
    }
    assert fields == set(accessflags.NAMES)


def test_every_flag_is_in_the_manual():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert [n for n in accessflags.NAMES if f"| `--{n.replace('_', '-')}`" not in page] == []
