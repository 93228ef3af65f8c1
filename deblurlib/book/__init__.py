"""The book: lessons, the claims ledger, and the runs, reports and editions made of the notebooks."""
