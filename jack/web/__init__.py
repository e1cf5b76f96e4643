"""The HTTP side: the peer API for friends, the Torznab indexer and the status for their owner.

`app` has the routes, `server` and `channel` the sockets.
"""
