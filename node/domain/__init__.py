"""The business concepts, one file each: tables, rules, queries, actions, in this order."""
