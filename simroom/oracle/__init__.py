"""The oracle: judges a run from its messages alone, and keeps the ledger of what reached whom."""
