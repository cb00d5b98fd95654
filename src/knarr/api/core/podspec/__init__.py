"""What every object that holds a pod's spec shares: its defaults, its rules and its warnings.

One file per topic. `defaults` changes specs in place; the `validate_*` functions append to a list of FieldErrors
and build a path only once something is wrong; `internal` knows how Go prints these types in messages.
"""
