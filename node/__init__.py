"""A node: one office's own CRM, whole and alone when the line is down."""
