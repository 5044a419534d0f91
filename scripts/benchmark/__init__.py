"""What the pool costs beside bare mitmdump, measured in one run, in turns.

plan          how much is measured: counts, and nothing else
wire          the requests, the answers and how their ends are told: bytes made once
upstream      the server behind everything, a process of its own
client        connections that ask and time the answers
field         the private network, the upstream, the proxies and their databases
processes     what a process has used: CPU in nanoseconds, memory
turns         load in turns: some requests on one proxy, then as many on the next
choosing      one choice of an account, by the core alone
starting      starting a proxy, and how long that takes
measures      the rounds
goals         ratios beside what they must be, and tables of text
results       what a run comes to: goals, tables, JSON
axes/         cost against the number of something
peers/        the pool beside other programs
keeping       results kept for each release
plots         pictures of them
arguments     what can be said on the command line
main          progress, and the end
"""
