"""The three patch types that need no knowledge of who owns a field. Server-side apply is in meta.managed.

Each `apply` returns a new document and leaves both of its arguments as they were, but the new document shares
what did not change with the old one: decode it anew, or copy it, before editing.
"""
