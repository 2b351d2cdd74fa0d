"""The server: routes, limits, callers, and the one flow from a question to a streamed answer."""
