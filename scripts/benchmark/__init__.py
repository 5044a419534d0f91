"""What the pool costs beside bare mitmdump, measured in one run with interleaved rounds.

plan          how much is measured: counts, and nothing else
wire          the requests, the answers and how their ends are told: bytes made once
upstream      the server behind everything, a process of its own
client        connections that ask and time the answers
field         the private network, the upstream, the proxies and their databases
choosing      one choice of an account, by the core alone
measures      the rounds
results       ratios, tables, JSON
main          arguments, progress, and the end
"""
