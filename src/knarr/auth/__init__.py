"""Who a request comes from and what it may do.

    pki.py            certificate authorities, certificates, the service-account signing key; files or memory
    authenticate.py   `Authenticator.authenticate(bearer, peer_certificate) -> UserInfo`: tries the methods below
    x509.py, statictokens.py, bootstraptokens.py, satokens.py, webhooktokens.py, oidc/     one place per method
    configuration/    flags and configuration files
    remote.py         calls to webhooks of kubeconfig files and to issuers
    jwt.py            signing and verifying of compact JWTs
    tokens.py         `TokenIssuer`: TokenRequest; discovery.py: the OpenID documents
    authorize.py      `Decision`, `Authorizers` (the union that the server asks), forbidden messages
    rbac.py           roles and bindings, compiled; rules.py: what one rule covers
    node.py, graph.py what a kubelet may do; abac.py, webhookauthorizer.py, modes.py: the other modes
    escalation.py     nobody grants what he does not hold
    claimstatus.py    who may say what in the status of a resource claim
    reviews.py        TokenReview and the SubjectAccessReview family
    impersonation.py  Impersonate-* headers
    bootstrap.py      roles, bindings, and other objects of a new cluster; reconcile.py: what
                      those of an older version lack; aggregation.py: aggregated cluster roles

It knows nothing of how requests come in: it gets a `Request` and reads objects through `registry.reader.Reader`.
"""
