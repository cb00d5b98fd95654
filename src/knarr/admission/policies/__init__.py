"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules and changes in CEL that the cluster itself carries out.

    source.py        policies and bindings as they are now, compiled when first needed
    constraints.py   matchConstraints and matchResources
    params.py        the objects that a binding's paramRef names
    invocations.py   which (policy, binding, parameter) a request meets
    validator.py     what a validating policy says of one object
    validating.py    what that means for the request
    mutators.py      what a mutating policy makes of one object
    mutating.py      in which order, and how often
    counts.py        what /metrics tells of both
    plugins.py       the plugins of the admission chain
    access.py        who writes a policy must be allowed to read its parameters
    typechecking.py  warnings about expressions that do not fit the kinds they are for (status.typeChecking)

A new policy or binding counts from the next request on.
"""
