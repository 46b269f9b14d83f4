"""Importing this registers every concept and every table."""

from node.domain import (  # noqa: F401
    access,
    activities,
    catalogue,
    companies,
    customers,
    deal_concepts,
    deals,
    document_concepts,
    documents,
    duplicates,
    indexes,
    merging,
    offices,
    payments,
    persons,
    search,
    tasks,
    users,
    views,
)
