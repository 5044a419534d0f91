"""The credentials of accounts: renewed before they run out, kept safe, learnt from other programs."""
