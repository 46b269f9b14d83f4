"""A small library that keeps SQLAlchemy tables of many offices and one hub in agreement. See DESIGN.md."""
