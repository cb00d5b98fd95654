"""CustomResourceDefinitions, and the schema work of custom resources.

`customresourcedefinition` holds the kind's rules; the packages below it hold what a structural schema does to objects:
`schema/` compiles it once per version and prunes, defaults, validates and coerces.
"""
