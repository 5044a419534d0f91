"""Every way a request can fail, on every wire, for both providers: what the editor gets, who is asked, and who pays.

faults      what goes wrong, as behaviours of the fakes
table       what follows from each
cells       the two multiplied: one cell is one fault on one wire of one provider, with two accounts of its own
observer    a script inside mitmdump that tells which slots are taken
asking      one request, as a client sends it, and what became of it
running     all cells in one mitmdump, and what the fakes and the database say afterwards
readme      the table as the README's appendix; `python -m tests.faults` writes it
"""
