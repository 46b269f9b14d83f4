"""Importing this registers every concept and every table."""

from node.domain import (  # noqa: F401
    access,
    activities,
    catalogue,
    customers,
    deals,
    documents,
    offices,
    payments,
    tasks,
    users,
    views,
)
