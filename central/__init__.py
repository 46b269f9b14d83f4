"""The centre: a node that is also the hub of the exchange."""
