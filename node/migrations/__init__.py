"""The steps from one form of the database to the next, run by `node.upgrade`; there is no alembic.ini and no env.py.

A new step is a file in versions/: `revision` (four digits and a word), `down_revision` (the one before), `upgrade()`.
Triggers need no step: they are compared with the tables at every start.
"""
