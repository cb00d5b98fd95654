"""ResourceQuota: usage.py says what an object counts for, scopes.py which quotas concern it, plugin.py reserves.

`usage` and `scopes` are also what the quota controller computes a quota's whole usage with.
"""
