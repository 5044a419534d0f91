"""Who acts, whether they may, and that it was they: on the transaction of the deed."""
