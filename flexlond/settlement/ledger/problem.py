"""What can go wrong with a ledger, in words.

Law: one error for what cannot be done (LedgerError) and one for evidence that does not hold (TamperError):
who catches the first waits or repairs, who catches the second stops trusting. Each text says where and what
next.
"""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger cannot do what was asked; the text says why and what to do."""


class TamperError(LedgerError):
    """Something in the ledger, an export or a proof is not what was once recorded or signed."""
