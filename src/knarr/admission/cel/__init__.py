"""CEL in admission: what match conditions of webhooks and all expressions of policies have in common.

    expressions.py      an expression of a stored object, compiled once, its error kept for those who evaluate it
    request.py          the `request` and `namespaceObject` variables
    authorizer.py       the `authorizer` variable
    evaluation.py       `Inputs`, `Activation`: evaluating under the cost limits, with composed variables
    matchconditions.py  `MatchConditions`: is this request meant at all?

What expressions may refer to is declared in api/admissionregistration/expressions.py, where stored objects are
validated with it.
"""
