"""The indexes that lists need beyond those that stand at the columns and models themselves.

A list is read along an index that ends with the key, because that is how its pages go on (`node.domain.listing`): then
the first page of 100,000 companies takes milliseconds, and so does the thousandth. Where nearly every value is another
one (names, times), the column's own index does as well; each index more is paid for at every write.
"""

from __future__ import annotations

import sqlalchemy as sa

from node.domain.customers import Company
from node.domain.deals import Deal
from node.domain.documents import Document

INDEXES: tuple[sa.Index, ...] = (
    sa.Index("ix_company_office_name", Company.office, Company.name, Company.id),
    sa.Index("ix_company_owner_changed", Company.owner_id, Company.changed_at, Company.id),
    sa.Index("ix_deal_changed", Deal.changed_at, Deal.id),
    sa.Index("ix_document_kind_dated", Document.kind, Document.dated, Document.id),
    sa.Index("ix_document_kind_changed", Document.kind, Document.changed_at, Document.id),
)
