"""Who may come in and what they may do, as the one who runs the cluster has set it.

settings.py       the flags of `knarr up`, named as kube-apiserver's, and which go together
load.py           configuration files of apiserver.config.k8s.io: YAML or JSON, read strictly
expressions.py    the CEL expressions in them
authentication.py AuthenticationConfiguration: issuers of JSON Web Tokens, anonymous requests
authorization.py  AuthorizationConfiguration: which authorizers, in which order
watch.py          files that are read again when they change
"""


class ConfigurationError(ValueError):
    """What is wrong with a flag or a file, in one sentence for the one who starts the cluster."""
