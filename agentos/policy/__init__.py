"""Who may do what: the reference monitor, approvals, the audit trail, people and what can be undone."""
