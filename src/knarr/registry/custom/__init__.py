"""Serving custom resources: from a CustomResourceDefinition to views that the registry serves like any other.

`establish` follows the definitions and keeps `Registry.custom` in step; `views` makes what it puts there; `kind` holds
the rules of custom objects, `codec` reads their bodies, `scale` serves their scale subresource, `columns` their tables.
"""
