"""Structural schemas at work. `node` compiles; `prune`, `defaulting`, `validate`, `listtypes`, `embedded` walk objects.

`version.VersionSchema` is the way in: one per version of a custom resource.
"""
