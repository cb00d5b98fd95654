"""Aggregation: APIServices, and the groups that other API servers serve behind this one.

aggregation.py   `Aggregation`: follows the APIServices and gives each request to whom it belongs
order.py         in which order groups and versions are listed
extension.py     connections to an extension API server, as the front proxy
proxy.py         a client's request, handed on
availability.py  the Available condition
registration.py  the APIServices of custom groups, made and kept
documents.py     what extension servers say of themselves: discovery and OpenAPI
"""
