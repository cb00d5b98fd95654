"""The kinds of the core group: pods, services, volumes, nodes and what belongs to them."""
