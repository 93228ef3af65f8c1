"""The book: lessons, the claims ledger, and the runs, report and editions of the notebooks."""
