"""x-kubernetes-validations: CEL rules in schemas. `compile` checks and prices them, `validate` applies them."""
