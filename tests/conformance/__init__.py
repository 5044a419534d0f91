"""HTTP/2 and WebSocket as their RFCs have them, through a bare mitmdump and through one with the pool.

h2spec is a Go program and Autobahn's testsuite needs Python 2.7; neither is to be had from a package registry. So these
are cases of our own, numbered and chosen after theirs. What counts is the comparison: with the pool, what a peer sees
is what it sees without it, or is better.

case          a case: an id, a reason, what is right, and a function
http2_peer    a client at the level of frames
http2_frames, http2_messages      cases, by sections of RFC 9113 and RFC 7541 as h2spec numbers them
ws_peer       one end of a WebSocket at the level of frames, and an end that echoes
ws_cases      cases, as Autobahn numbers them, each from the client's side and from the upstream's
stage         the two proxies, and the upstream behind both of them
running       all cases on all connections at once
"""
