"""Who somebody is: tokens of every kind, issuing and reviewing them, impersonation."""

import base64

import orjson
import pytest

from knarr.auth import discovery, jwt
from knarr.auth.authenticate import CACHE_SECONDS, Authenticator, bearer_token, websocket_token, without_token
from knarr.auth.authorize import Authorizers
from knarr.auth.bootstrap import bootstrap_objects, cluster_role_rules
from knarr.auth.bootstraptokens import BootstrapTokens
from knarr.auth.identity import AuthenticationError, Identity
from knarr.auth.impersonation import Impersonation, wanted_user
from knarr.auth.keys import Key
from knarr.auth.node import NodeAuthorizer
from knarr.auth.rbac import RBAC
from knarr.auth.reviews import Reviews
from knarr.auth.satokens import LAST_USED, ServiceAccountTokens
from knarr.auth.statictokens import StaticTokens, admin, parse_token_file
from knarr.auth.tokenkeys import TokenKeys
from knarr.auth.tokens import ISSUER, TokenIssuer
from knarr.meta.errors import StatusError
from knarr.registry.context import ANONYMOUS, Request, UserInfo
from knarr.world.chance import chance

from .memory_reader import refusal, run
from .test_auth_rbac import binding, put, role, rule

SIGNER = jwt.Signer.of(Key.draw(chance(1)))
POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "pod-uid"},
    "spec": {"serviceAccountName": "robot"},
}


class Desk:
    """Everything of one small cluster that has to do with tokens."""

    def __init__(self, reader, clock):
        self.reader, self.clock = reader, clock
        for name in ("robot", "quiet"):
            reader.put(
                "", "serviceaccounts", {"metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"}}
            )
        reader.put("", "pods", POD)
        keys = TokenKeys(SIGNER)
        self.issuer = TokenIssuer(keys, reader, clock, chance(2))
        tokens = ServiceAccountTokens(keys, reader, clock, [ISSUER], [ISSUER])
        methods = [StaticTokens(admin("secret")), tokens, BootstrapTokens(reader, clock)]
        self.authenticator = Authenticator(methods, clock, [ISSUER])
        self.rbac = RBAC(reader)
        node = NodeAuthorizer(reader, cluster_role_rules("system:node"))
        self.authorizers = Authorizers(node, self.rbac)
        self.reviews = Reviews(self.authenticator, self.authorizers, clock)

    def issue(self, name="robot", **spec):
        return run(self.issuer.issue("ns", name, {"spec": spec}))

    def token(self, name="robot", **spec):
        return self.issue(name, **spec)["status"]["token"]

    def user(self, token):
        return run(self.authenticator.authenticate(token))

    def error(self, token, *audiences):
        try:
            run(self.authenticator.review(token, audiences))
        except AuthenticationError as error:
            return str(error)
        return None

    def review(self, resource, spec, user=None, **metadata):
        request = Request(
            "create", resource=resource, namespace=metadata.get("namespace", ""), user=user or ANONYMOUS
        )
        obj = {"kind": "K", "apiVersion": "v1", "metadata": metadata, "spec": spec}
        return run(self.reviews.create(request, obj))


@pytest.fixture
def desk(reader, clock):
    return Desk(reader, clock)


def bound(kind="Pod", name="p", **more):
    return {"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name, **more}}


# -- requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("  Bearer abc  ", "abc"),
        ("Bearer ", None),
        ("Bearer", None),
        ("Token abc", None),
        ("Basic YTpi", None),
        ("", None),
        (None, None),
    ],
)
def test_authorization_header(header, token):
    assert bearer_token(header) == token


def test_a_space_too_many():
    told = []
    assert bearer_token("Bearer  secret", told.append) is None
    assert told == [
        "the provided Authorization header contains extra space before the bearer token, and is ignored"
    ]


def test_token_in_a_web_socket_protocol():
    sent = "base64url.bearer.authorization.k8s.io.c2VjcmV0"
    assert websocket_token(f"v5.channel.k8s.io,{sent}") == "secret"
    assert websocket_token("v5.channel.k8s.io, x") is None
    assert without_token(f"v5.channel.k8s.io,{sent}") == "v5.channel.k8s.io"
    for bad in (sent, f"{sent}, {sent}, x", "base64url.bearer.authorization.k8s.io.?, x"):
        with pytest.raises(StatusError):
            websocket_token(bad)


def test_nobody_and_everybody(desk):
    assert desk.user(None) is ANONYMOUS
    assert desk.user("secret") == UserInfo("admin", "admin", ("system:masters", "system:authenticated"))
    assert refusal(desk.authenticator.authenticate, "wrong") == (401, "Unauthorized")
    closed = Authenticator([], desk.clock, anonymous=False)
    assert refusal(closed.authenticate, None) == (401, "Unauthorized")


def test_token_file():
    lines = ['t1,jane,u1,"a, b"', "# no", "t2,joe,u2", ",x,y", ""]
    assert parse_token_file(lines) == {"t1": UserInfo("jane", "u1", ("a", "b")), "t2": UserInfo("joe", "u2")}
    with pytest.raises(ValueError, match="line 1"):
        parse_token_file(["t,jane"])


def test_methods_are_asked_in_order_and_objections_collected(clock):
    class Broken:
        async def authenticate(self, token, audiences):
            raise AuthenticationError("broken")

    class Knows:
        def authenticate(self, token, audiences):
            return Identity(UserInfo("x")) if token == "x" else None

    both = Authenticator([Broken(), Knows(), Broken()], clock)
    assert run(both.review("x")).user.name == "x"
    with pytest.raises(AuthenticationError, match=r"^\[invalid bearer token, broken\]$"):
        run(both.review("y"))


def test_the_cache_is_bounded_in_time_and_size(clock, monkeypatch):
    asked = []

    class Counts:
        def authenticate(self, token, audiences):
            asked.append(token)
            return Identity(UserInfo(token))

    counting = Authenticator([Counts()], clock)
    run(counting.authenticate("a"))
    run(counting.authenticate("a"))
    clock.time += CACHE_SECONDS
    run(counting.authenticate("a"))
    assert asked == ["a", "a"]
    monkeypatch.setattr("knarr.auth.authenticate.CACHE_ENTRIES", 2)
    for token in "bcd":
        run(counting.authenticate(token))
    assert len(counting._cache) == 2


# -- service account tokens --------------------------------------------------------------------------------


def test_a_token_of_a_pod(desk):
    desk.reader.put("", "nodes", {"metadata": {"name": "n1", "uid": "node-uid"}})
    desk.reader.put("", "pods", {**POD, "spec": {**POD["spec"], "nodeName": "n1"}})
    token = desk.token(**bound())
    claims = jwt.parse(token).claims
    now = int(desk.clock.now())
    assert claims["kubernetes.io"] == {
        "namespace": "ns",
        "node": {"name": "n1", "uid": "node-uid"},
        "pod": {"name": "p", "uid": "pod-uid"},
        "serviceaccount": {"name": "robot", "uid": "uid-robot"},
    }
    assert {k: claims[k] for k in ("aud", "exp", "iat", "nbf", "iss", "sub")} == {
        "aud": [ISSUER],
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "iss": ISSUER,
        "sub": "system:serviceaccount:ns:robot",
    }
    user = desk.user(token)
    assert (user.name, user.uid) == ("system:serviceaccount:ns:robot", "uid-robot")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    extra = {k.removeprefix("authentication.kubernetes.io/"): v for k, v in user.extra.items()}
    assert extra == {
        "credential-id": (f"JTI={claims['jti']}",),
        "pod-name": ("p",),
        "pod-uid": ("pod-uid",),
        "node-name": ("n1",),
        "node-uid": ("node-uid",),
    }


def test_the_answer_to_a_token_request(desk):
    notes = {}
    answer = run(desk.issuer.issue("ns", "robot", {"metadata": {}, "spec": {"audiences": ["a"]}}, notes))
    assert answer["metadata"] == {
        "name": "robot",
        "namespace": "ns",
        "uid": "uid-robot",
        "creationTimestamp": "2027-01-15T08:00:00Z",
    }
    assert answer["spec"] == {"audiences": ["a"], "expirationSeconds": 3600, "boundObjectRef": None}
    assert answer["status"]["expirationTimestamp"] == "2027-01-15T09:00:00Z"
    jti = jwt.parse(answer["status"]["token"]).claims["jti"]
    assert notes == {"authentication.kubernetes.io/issued-credential-id": f"JTI={jti}"}


def test_a_mounted_token_outlives_its_hour(desk):
    claims = jwt.parse(desk.token(expirationSeconds=3607, **bound())).claims
    now = int(desk.clock.now())
    assert claims["kubernetes.io"]["warnafter"] == now + 3607
    assert claims["exp"] == now + 365 * 24 * 3600
    token = desk.token(expirationSeconds=3607, **bound())
    desk.clock.time += 4000
    notes = {}
    run(desk.authenticator.authenticate(token, annotations=notes))
    subject = "subject: system:serviceaccount:ns:robot"
    assert notes == {"authentication.k8s.io/stale-token": f"{subject}, seconds after warning threshold: 393"}


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            {"spec": {"expirationSeconds": 10}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 10: may not '
            "specify a duration less than 10 minutes",
        ),
        (
            {"spec": {"expirationSeconds": 1 << 33}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 8589934592: may '
            "not specify a duration larger than 2^32 seconds",
        ),
        ({"spec": bound(name="absent")}, 404, 'pods "absent" not found'),
        ({"spec": bound("ConfigMap", "x")}, 400, "cannot bind token to object of type /v1, Kind=ConfigMap"),
        (
            {"spec": bound(uid="1")},
            409,
            'Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (1) does not match the '
            "UID in record. The object might have been deleted and then recreated",
        ),
        (
            {"metadata": {"name": "other"}},
            422,
            'TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: "other": must match '
            "the service account name if specified",
        ),
    ],
)
def test_refused_token_requests(desk, request_, code, message):
    assert refusal(desk.issuer.issue, "ns", "robot", request_) == (code, message)


def test_more_refused_token_requests(desk):
    assert refusal(desk.issuer.issue, "ns", "absent", {}) == (404, 'serviceaccounts "absent" not found')
    assert refusal(desk.issuer.issue, "ns", "quiet", {"spec": bound()}) == (
        400,
        'cannot bind token for serviceaccount "quiet" to pod running with different serviceaccount name.',
    )


def deleted(obj, seconds_ago, clock):
    from knarr.meta import times

    stamp = {"deletionTimestamp": times.format(clock.now() - seconds_ago)}
    return obj | {"metadata": obj["metadata"] | stamp}


@pytest.mark.parametrize(
    ("spec", "change", "error"),
    [
        ({}, lambda d: None, None),
        (
            {},
            lambda d: d.reader.drop("", "serviceaccounts", "ns", "robot"),
            'serviceaccounts "robot" not found',
        ),
        (
            {},
            lambda d: d.reader.put(
                "", "serviceaccounts", {"metadata": {"name": "robot", "namespace": "ns", "uid": "new"}}
            ),
            "service account UID (new) does not match claim (uid-robot)",
        ),
        (
            bound(),
            lambda d: d.reader.drop("", "pods", "ns", "p"),
            "service account token has been invalidated",
        ),
        (bound(), lambda d: d.reader.put("", "pods", deleted(POD, 30, d.clock)), None),
        (
            bound(),
            lambda d: d.reader.put("", "pods", deleted(POD, 61, d.clock)),
            "service account token has been invalidated",
        ),
        (
            bound(),
            lambda d: d.reader.put("", "pods", POD | {"metadata": POD["metadata"] | {"uid": "new"}}),
            "pod UID (new) does not match service account pod ref claim (pod-uid)",
        ),
        ({}, lambda d: setattr(d.clock, "time", d.clock.time + 3700), "service account token has expired"),
        (
            {},
            lambda d: setattr(d.clock, "time", d.clock.time - 100),
            "service account token is not valid yet",
        ),
    ],
)
def test_a_token_dies_with_what_it_is_bound_to(desk, spec, change, error):
    token = desk.token(**spec)
    change(desk)
    assert desk.error(token) == (error and f"[invalid bearer token, {error}]")


def test_audiences(desk):
    token = desk.token(audiences=["a", "b"])
    assert run(desk.authenticator.review(token, ("b", "c"))).audiences == ("b",)
    assert desk.error(token) == (
        '[invalid bearer token, token audiences ["a" "b"] is invalid for the target audiences '
        '["https://kubernetes.default.svc"]]'
    )
    assert desk.error("secret", "b") == "invalid bearer token"  # a static token speaks to the API server only


def test_forged_tokens(desk):
    good = desk.token()
    head, body, signature = good.split(".")
    other = jwt.Signer.of(Key.draw(chance(7)))
    claims = jwt.parse(good).claims
    assert desk.error(other.sign(claims)) == "[invalid bearer token, invalid signature, no keys found]"
    forged = claims | {"sub": "system:serviceaccount:kube-system:x"}
    body2 = base64.urlsafe_b64encode(orjson.dumps(forged)).rstrip(b"=").decode()
    assert "error in cryptographic primitive" in desk.error(f"{head}.{body2}.{signature}")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert "error in cryptographic primitive" in desk.error(f"{none}.{body}.")
    assert desk.error(SIGNER.sign(claims | {"iss": "https://else.where"})) == "invalid bearer token"
    assert desk.user(good).name == "system:serviceaccount:ns:robot"


def test_tokens_kept_in_secrets(desk):
    account = desk.reader.get("", "serviceaccounts", "ns", "robot")
    secret = {"metadata": {"name": "s", "namespace": "ns"}, "type": "kubernetes.io/service-account-token"}
    token = run(desk.issuer.legacy(account, secret))
    assert desk.error(token) == "[invalid bearer token, Token has been invalidated]"
    desk.reader.put("", "secrets", secret | {"data": {"token": base64.b64encode(b"old").decode()}})
    assert desk.error(token) == "[invalid bearer token, Token does not match server's copy]"
    desk.reader.put("", "secrets", secret | {"data": {"token": base64.b64encode(token.encode()).decode()}})
    notes = {}
    user = run(desk.authenticator.authenticate(token, annotations=notes))
    assert (user.name, user.uid, user.extra) == ("system:serviceaccount:ns:robot", "uid-robot", {})
    assert notes == {"authentication.k8s.io/legacy-token": user.name}
    assert desk.reader.get("", "secrets", "ns", "s")["metadata"]["labels"] == {LAST_USED: "2027-01-15"}
    desk.clock.time += 11
    run(desk.authenticator.authenticate(token))
    assert len(desk.reader.updates) == 1  # once a day is enough


def test_bootstrap_tokens(desk):
    fields = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:workers",
        "expiration": "2027-01-15T09:00:00Z",
    }

    def kept(**change):
        data = {k: base64.b64encode(v.encode()).decode() for k, v in (fields | change).items()}
        desk.reader.put(
            "",
            "secrets",
            {
                "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
                "type": "bootstrap.kubernetes.io/token",
                "data": data,
            },
        )

    token = "abcdef.0123456789abcdef"
    kept()
    user = desk.user(token)
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers:workers", "system:bootstrappers", "system:authenticated")
    desk.clock.time += 11
    for change in (
        {"token-secret": "x" * 16},
        {"usage-bootstrap-authentication": "false"},
        {"expiration": "2027-01-15T07:00:00Z"},
        {"expiration": "soon"},
        {"auth-extra-groups": "system:masters"},
    ):
        kept(**change)
        assert desk.error(token) == "invalid bearer token"
    assert desk.error("abcdef.0123") == "invalid bearer token"


def test_discovery_documents():
    keys = orjson.loads(discovery.key_set([SIGNER.verifier]))["keys"]
    assert [k["kid"] for k in keys] == [SIGNER.verifier.key_id]
    assert keys[0].keys() == {"use", "kty", "kid", "crv", "alg", "x", "y"}
    document = orjson.loads(discovery.configuration(ISSUER, f"{ISSUER}/openid/v1/jwks", [SIGNER.verifier]))
    assert document["id_token_signing_alg_values_supported"] == ["ES256"]
    assert document["issuer"] == ISSUER


# -- reviews -----------------------------------------------------------------------------------------------


def test_token_reviews(desk):
    token = desk.token(audiences=["a", "b"])
    good = desk.review("tokenreviews", {"token": token, "audiences": ["b", "c"]})
    assert good["status"]["audiences"] == ["b"]
    assert good["status"]["authenticated"] is True
    assert good["status"]["user"]["username"] == "system:serviceaccount:ns:robot"
    bad = desk.review("tokenreviews", {"token": "garbage"})
    assert bad["status"] == {"user": {}, "error": "invalid bearer token"}
    assert refusal(desk.review, "tokenreviews", {}) == (
        400,
        "token is required for TokenReview in authentication",
    )


def test_who_am_i(desk):
    user = UserInfo("jane", "u1", ("a", "system:authenticated"), {"scopes": ("x",)})
    answer = desk.review("selfsubjectreviews", {}, user)
    assert answer["status"]["userInfo"] == {
        "username": "jane",
        "uid": "u1",
        "groups": ["a", "system:authenticated"],
        "extra": {"scopes": ["x"]},
    }
    assert answer["metadata"] == {"creationTimestamp": "2027-01-15T08:00:00Z"}


@pytest.fixture
def granted(desk):
    rules = [rule("get,list", "core", "configmaps"), rule("get", "*", "widgets", "a")]
    put(desk.reader, role("editor", rules, "ns"), binding("editor", "editor", "User jane", namespace="ns"))
    put(desk.reader, role("paths", [rule("get", urls="/healthz")]), binding("paths", "paths", "Group g"))
    return desk


GET = {"verb": "get", "resource": "configmaps", "namespace": "ns"}
WHY = 'RBAC: allowed by RoleBinding "editor/ns" of Role "editor" to User "jane"'


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"user": "jane", "resourceAttributes": GET}, {"allowed": True, "reason": WHY}),
        ({"user": "jane", "resourceAttributes": GET | {"verb": "delete"}}, {"allowed": False}),
        ({"user": "x", "groups": ["system:masters"], "resourceAttributes": GET}, {"allowed": True}),
        (
            {"groups": ["g"], "nonResourceAttributes": {"path": "/healthz", "verb": "get"}},
            {
                "allowed": True,
                "reason": 'RBAC: allowed by ClusterRoleBinding "paths" of ClusterRole "paths" to Group "g"',
            },
        ),
        (
            {
                "user": "system:node:n1",
                "groups": ["system:nodes"],
                "resourceAttributes": {"verb": "list", "resource": "pods"},
            },
            {"allowed": False, "reason": "can only list/watch pods with spec.nodeName field selector"},
        ),
        (
            {
                "user": "system:node:n1",
                "groups": ["system:nodes"],
                "resourceAttributes": {
                    "verb": "list",
                    "resource": "pods",
                    "fieldSelector": {
                        "requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]
                    },
                },
            },
            {"allowed": True},
        ),
    ],
)
def test_subject_access_reviews(granted, spec, status):
    assert granted.review("subjectaccessreviews", spec)["status"] == status
    own = {k: v for k, v in spec.items() if k not in ("user", "groups")}
    user = UserInfo(spec.get("user", ""), groups=tuple(spec.get("groups", ())))
    assert granted.review("selfsubjectaccessreviews", own, user)["status"] == status


@pytest.mark.parametrize(
    ("resource", "spec", "metadata", "message"),
    [
        (
            "subjectaccessreviews",
            {"user": "x"},
            {},
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes "
            "must be specified",
        ),
        (
            "subjectaccessreviews",
            {"resourceAttributes": GET},
            {},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
        (
            "subjectaccessreviews",
            {"user": "x", "resourceAttributes": GET, "nonResourceAttributes": {"path": "/"}},
            {},
            'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":""}: cannot be specified in combination '
            "with resourceAttributes",
        ),
        (
            "subjectaccessreviews",
            {"user": "x", "resourceAttributes": GET},
            {"managedFields": [], "name": "named"},
            'metadata: Invalid value: {"name":"named"}: must be empty',
        ),
        (
            "selfsubjectaccessreviews",
            {
                "resourceAttributes": GET
                | {"fieldSelector": {"rawSelector": "a=b", "requirements": [{"key": "a"}]}}
            },
            {},
            'spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a=b": may not specified at the same '
            "time as requirements",
        ),
        (
            "localsubjectaccessreviews",
            {"user": "x", "resourceAttributes": GET | {"namespace": "default"}},
            {"namespace": "ns"},
            'spec.resourceAttributes.namespace: Invalid value: "default": must match metadata.namespace',
        ),
        (
            "localsubjectaccessreviews",
            {"user": "x", "nonResourceAttributes": {"path": "/", "verb": "get"}},
            {"namespace": "ns"},
            'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":"get"}: disallowed on this kind of request',
        ),
    ],
)
def test_refused_reviews(granted, resource, spec, metadata, message):
    found = refusal(lambda: granted.review(resource, spec, **metadata))
    assert found == (422, f'.authorization.k8s.io "" is invalid: {message}')


def test_what_may_i_do(granted):
    answer = granted.review("selfsubjectrulesreviews", {"namespace": "ns"}, UserInfo("jane", groups=("g",)))
    assert answer["status"] == {
        "resourceRules": [
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]},
            {"verbs": ["get"], "apiGroups": ["*"], "resources": ["widgets"], "resourceNames": ["a"]},
        ],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
        "incomplete": False,
    }
    assert refusal(lambda: granted.review("selfsubjectrulesreviews", {})) == (400, "no namespace on request")
    node = UserInfo("system:node:n", groups=("system:nodes",))
    status = granted.review("selfsubjectrulesreviews", {"namespace": "ns"}, node)["status"]
    assert status["incomplete"]
    assert "does not support" in status["evaluationError"]


# -- impersonation -----------------------------------------------------------------------------------------

ROOT = UserInfo("root", groups=("system:masters",))
LIST = {"resource": "configmaps", "namespace": "ns"}


def become(desk, requester, *headers, through=None, **request):
    wanted = wanted_user([h.split(": ") for h in headers])
    made = Request("list", user=requester, **(request or LIST))
    return run((through or Impersonation(desk.authorizers))(made, wanted))


def test_impersonated_users_are_complete(desk):
    found = become(
        desk,
        ROOT,
        "Impersonate-User: jane",
        "Impersonate-Group: a",
        "impersonate-group: b",
        "Impersonate-Uid: u1",
        "Impersonate-Extra-Scopes: x",
        "Impersonate-Extra-Acme.com%2fProject: y",
    ).user
    assert found == UserInfo(
        "jane", "u1", ("a", "b", "system:authenticated"), {"scopes": ("x",), "acme.com/project": ("y",)}
    )
    account = become(desk, ROOT, "Impersonate-User: system:serviceaccount:ns1:sa1").user
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:ns1", "system:authenticated")
    assert become(desk, ROOT, "Impersonate-User: system:anonymous").user.groups == ("system:unauthenticated",)
    node = become(desk, ROOT, "Impersonate-User: system:node:n1").user
    assert node.groups == ("system:nodes", "system:authenticated")


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Impersonate-Group: g", 'UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)'),
        ("Impersonate-Uid: 5", 'UID:"5", Groups:[]string(nil), Extra:map[string][]string(nil)'),
    ],
)
def test_impersonation_without_a_user(header, shown):
    message = f'requested &user.DefaultInfo{{Name:"", {shown}}} without impersonating a user name'
    assert refusal(wanted_user, [header.split(": ")]) == (400, message)
    assert wanted_user([("Accept", "x")]) is None


def test_the_mode_that_worked_last_is_tried_first(desk):
    """A requester of the older right is told of that one, once it has been of use to him."""
    right = rule("impersonate", "core", "users", "joe")
    put(desk.reader, role("old", [right]), binding("old", "old", "User jane"))
    jane = UserInfo("jane")
    through = Impersonation(desk.authorizers)

    def attempt(name):
        return become(desk, jane, f"Impersonate-User: {name}", through=through)

    assert "cannot impersonate-on:user-info:list" in refusal(attempt, "root")[1]
    assert attempt("joe").constraint == ""
    words = 'users "root" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope'
    assert refusal(attempt, "root") == (403, words)
    # a mode that does not fit is passed over
    node = refusal(attempt, "system:node:n1")
    assert "cannot impersonate resource" in node[1]


def test_names_that_are_no_service_accounts(desk):
    for name in ("system:serviceaccount:Ns:a", "system:serviceaccount:ns:A", "system:serviceaccount:ns"):
        found = become(desk, ROOT, f"Impersonate-User: {name}").user
        assert found.groups == ("system:authenticated",)


def test_impersonation_refused_in_the_words_of_the_first_mode(desk):
    expected = (
        'configmaps is forbidden: User "system:anonymous" cannot impersonate-on:user-info:list resource "configmaps" '
        'in API group "" in the namespace "ns"'
    )
    assert refusal(lambda: become(desk, ANONYMOUS, "Impersonate-User: jane")) == (403, expected)


@pytest.mark.parametrize(
    ("rules", "headers", "constraint"),
    [
        ([rule("impersonate", "core", "users", "jane")], ["Impersonate-User: jane"], ""),
        ([rule("impersonate", "core", "users", "joe")], ["Impersonate-User: jane"], None),
        ([rule("impersonate", "core", "users")], ["Impersonate-User: jane", "Impersonate-Group: a"], None),
        (
            [rule("impersonate", "core", "users,groups")],
            ["Impersonate-User: jane", "Impersonate-Group: system:masters"],
            "",
        ),
        (
            [
                rule("impersonate-on:user-info:list", "core", "configmaps"),
                rule("impersonate:user-info", "authentication.k8s.io", "users"),
            ],
            ["Impersonate-User: jane"],
            "impersonate:user-info",
        ),
        (
            [
                rule("impersonate-on:user-info:list", "core", "configmaps"),
                rule("impersonate:user-info", "authentication.k8s.io", "users,groups"),
            ],
            ["Impersonate-User: jane", "Impersonate-Group: system:masters"],
            None,
        ),
        (
            [
                rule("impersonate-on:user-info:get", "core", "configmaps"),
                rule("impersonate:user-info", "authentication.k8s.io", "users"),
            ],
            ["Impersonate-User: jane"],
            None,
        ),
        (
            [
                rule("impersonate-on:serviceaccount:list", "core", "configmaps"),
                rule("impersonate:serviceaccount", "authentication.k8s.io", "serviceaccounts", "sa"),
            ],
            ["Impersonate-User: system:serviceaccount:ns:sa"],
            "impersonate:serviceaccount",
        ),
        (
            [
                rule("impersonate-on:associated-node:list", "core", "configmaps"),
                rule("impersonate:associated-node", "authentication.k8s.io", "nodes", "*"),
            ],
            ["Impersonate-User: system:node:n1"],
            "impersonate:associated-node",
        ),
        (
            [
                rule("impersonate-on:associated-node:list", "core", "configmaps"),
                rule("impersonate:associated-node", "authentication.k8s.io", "nodes", "*"),
            ],
            ["Impersonate-User: system:node:n2"],
            None,
        ),
    ],
)
def test_who_may_impersonate_whom(desk, rules, headers, constraint):
    agent = UserInfo(
        "system:serviceaccount:ns:agent", extra={"authentication.kubernetes.io/node-name": ("n1",)}
    )
    put(desk.reader, role("r", rules), binding("r", "r", "ServiceAccount agent ns"))
    if constraint is None:
        assert refusal(lambda: become(desk, agent, *headers))[0] == 403
    else:
        assert become(desk, agent, *headers).constraint == constraint


# -- nodes -------------------------------------------------------------------------------------------------

BOUND = {
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {
        "nodeName": "n1",
        "serviceAccountName": "robot",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "name": "c",
                "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}],
                "envFrom": [{"configMapRef": {"name": "conf"}}],
            }
        ],
        "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "j", "projected": {"sources": [{"secret": {"name": "proj"}}]}},
        ],
    },
}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("get secrets/pull", ""),
        ("get secrets/env", ""),
        ("watch secrets/proj", ""),
        ("get secrets/mount", ""),
        ("get secrets/other", "no relationship found between node 'n1' and this object"),
        ("list secrets", "No Object name found"),
        ("update secrets/env", "can only read resources of this type"),
        ("get configmaps/conf", ""),
        ("get persistentvolumeclaims/claim", ""),
        ("get persistentvolumeclaims/p-e", ""),
        ("get persistentvolumes/pv", ""),
        ("list persistentvolumes", "can only get individual resources of this type"),
        ("create serviceaccounts:token/robot", ""),
        ("create serviceaccounts:token/quiet", "no relationship found between node 'n1' and this object"),
        ("get pods/p", ""),
        ("get pods/q", "no relationship found between node 'n1' and this object"),
        ("get nodes/n1", ""),
        ("get nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
        ("patch nodes:status/n1", ""),
        ("delete nodes/n1", None),
        ("get services/x", ""),
        ("delete services/x", None),
        (
            "update leases.coordination.k8s.io/n1",
            'can only access leases in the "kube-node-lease" system namespace',
        ),
    ],
)
def test_a_node_sees_what_its_pods_need(desk, what, reason):
    from .test_auth_rbac import ask

    node = NodeAuthorizer(desk.reader, cluster_role_rules("system:node"))
    desk.reader.put("", "pods", BOUND)
    volume = {
        "metadata": {"name": "pv"},
        "spec": {
            "claimRef": {"namespace": "ns", "name": "claim"},
            "csi": {"nodeStageSecretRef": {"namespace": "ns", "name": "mount"}},
        },
    }
    desk.reader.put("", "persistentvolumes", volume)
    decision = node.authorize(ask(what, "system:node:n1", ("system:nodes",)))
    assert (decision.allowed, decision.reason) == (reason == "", reason or "")
    assert not node.authorize(ask(what, "system:node:n1")).allowed  # not a member of the group
    if reason == "" and "secrets" in what:
        assert not node.authorize(ask(what, "system:node:n2", ("system:nodes",))).allowed
        desk.reader.drop("", "pods", "ns", "p")
        assert not node.authorize(ask(what, "system:node:n1", ("system:nodes",))).allowed


def test_bootstrap_needs_no_other_module(desk):
    """Objects are new each time: who changes one does not change the next cluster."""
    first, second = (next(iter(bootstrap_objects()))[2] for _ in range(2))
    first["metadata"]["name"] = "changed"
    assert second["metadata"]["name"] == "admin"
