"""Peers: the friends we fetch from, each with all that is known of it in one object (`peer`), and
the protocol from the asking side.

Order of reading: `collection`, `peer`, `request_line`, `peer_client`, `search`.
"""
