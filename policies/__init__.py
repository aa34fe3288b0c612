"""The rules, in Cedar, and the schema they are checked against."""
