"""Whatever can reach us from outside, thrown at what reads it.

targets       the table: what is fuzzed, and what must hold of the answers whatever comes in
messages      inputs that are messages: a first line, headers, a body
sound         what holds of outcomes, windows, frames and logins
corpus/       inputs by target that between them reach all the code that fuzzing has reached; `found-*` are mistakes of
              ours that were found so

`./scripts/fuzz` looks for more; `test_corpus` replays these in every run of the tests.
"""
