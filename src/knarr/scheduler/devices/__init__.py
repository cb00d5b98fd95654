"""Allocation of devices to claims (dynamic resource allocation with structured parameters).

claims       which claims a pod uses, and what of them is allocated
selectors    CEL: does a device have what a class or a request asks for?
pools        the devices that a node can reach
capacity     devices that several claims share
counters     devices that are parts of one another
constraints  devices of a claim that must have something in common, or must not
allocator    the search: one device after the other, and back where it does not go on
extended     extended resources that come from devices
results      what was found, as a claim's status says it
bindings     what was found on its way into claims

All but the last only decide, for the plugin `DynamicResources`.
"""
