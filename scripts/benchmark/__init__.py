"""What the pool costs beside bare mitmdump, measured in one run with interleaved rounds.

plan          how much is measured: counts, and nothing else
wire          the requests, the answers and how their ends are told: bytes made once
upstream      the server behind everything, a process of its own
client        connections that ask and time the answers
field         the private network, the upstream, the proxies and their databases
processes     what a process has used: CPU in nanoseconds, memory
turns         load in turns: some requests on one proxy, then as many on the next
choosing      one choice of an account, by the core alone
measures      the rounds
goals         ratios beside what they must be, and tables of text
results       what a run comes to: goals, tables, JSON
main          arguments, progress, and the end
"""
