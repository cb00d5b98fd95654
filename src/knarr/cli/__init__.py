"""The `knarr` command. Each command's module is imported when it is called: start-up time is part of the product."""
