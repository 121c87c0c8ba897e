"""The proofs run in a short form, and find a loss when there is one."""
