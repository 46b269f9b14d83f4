"""The sample company of `kogge demo`: invented by a seeded generator, so that everybody sees the same one.

`names` holds the words, `company` the offices, people, goods and customers, `year` what they did in the last twelve
months, `rows` how that is written down. Nothing here touches a database.
"""
