"""The room of the control interface: how commands reach a running jack, over a unix socket in the
state folder, and what they do with the database alone when none runs.
"""
