"""The runtime that only pretends: containers are entries in a table, and time alone moves them on."""
