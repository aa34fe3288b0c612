"""The training set of a kernel's adapter, made from the table: sentences in two languages and their plans."""
