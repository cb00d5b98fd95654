"""The Common Expression Language as Kubernetes speaks it: schemas' validation rules, and admission policies.

    parse     source -> syntax tree; Google's own grammar, by the library cel-expr-python (docs/decisions/0004-cel.md)
    check     syntax tree -> types and overloads, with cel-go's messages
    estimate  the worst cost of a checked expression, as Kubernetes limits it
    program   a checked expression -> a function, with its running cost
    library/  the functions, Kubernetes' own included

`Environment` in `environment.py` is the way in.
"""
