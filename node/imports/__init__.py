"""Imports: other people's tables become records, through the same actions that a form uses."""
