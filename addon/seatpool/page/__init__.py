"""The page: what a browser is shown of the pool, and what it may change there.

Nothing in here is loaded before somebody asks for it.

    visit       a request and its answer, as values: the same by whatever way they come
    manners     who is answered: names of hosts, other origins, the token for acting
    site        which path is answered with what
    files       what is served as it is, from the folder beside them
    table       the page as it stands without scripts
    looks       reads what is to be shown from the store
    board       tells every viewer what has changed
    listener    the page's own port on loopback; through the proxy it comes by `proxy/own_host`
"""
