"""The rules that objects meet between authorization and storage, beyond their own kind's.

    attributes.py   `Attributes`: one write as the plugins see it; `Target`: the part plugins choose by
    chain.py        `Plugin`, `Chain(plugins).admit(a)` / `.validate(a)`
    defaults.py     `default_plugins(...)`: the default set of v1.36 in its order
    one file per plugin
    podsecurity/    the pod security standards
    quota/          what counts against a ResourceQuota

The registry calls, with the decoded and defaulted object:

    await chain.admit(a)       # mutating; changes a.obj in place (or sets a new one)
    ... prepare, validate ...
    await chain.validate(a)

Each raises StatusError to refuse. Plugins know the `Reader`, never the store or HTTP.
"""
