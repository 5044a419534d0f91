"""A week of requests against a pool, with a clock that only counts: how strategies compare where it matters.

workload      what people ask: sessions, conversations, turns; the same for every way to choose
upstream      what accounts have: quota windows that fill and reset, prompt caches that die
routing       what is asked of a way to choose; plain round-robin
pool          the real core, called as `service/pool.py` calls it
reference     the prior scorer of codex.md 8, the thing to beat
measures      what is counted
contestants   every way to choose, by name
scenario      people, accounts and sizes, from a seed
running       one run: every turn in its time
"""
