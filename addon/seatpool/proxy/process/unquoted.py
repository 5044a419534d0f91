"""mitmproxy's words about a connection, without the bytes of it that they quote.

A head that cannot be read, or that ends in the middle, stands in mitmproxy's log as it came: with the credential in it.

Where `flow_detail` is 0, so that no request has a line, no connection has its four either.
"""

import logging
import re
from typing import override

from mitmproxy import ctx

TOLD_BY = "mitmproxy.proxy.server"
"""Name of the logger to which connections tell."""
_QUOTED = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z))""")
"""To their end, or to the message's: what is long mitmproxy cuts off (`proxy_debug`)."""
_COMES_AND_GOES = re.compile(r"(client|server) (dis)?connect\b")


class Unquoted(logging.Filter):
    """Has nothing of the bytes in a message, and nothing of who comes and goes where nobody wants to hear of it."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if _COMES_AND_GOES.match(said) and record.levelno <= logging.INFO and _is_quiet():
            return False
        if "b'" in said or 'b"' in said:
            record.msg, record.args = _QUOTED.sub("[bytes]", said), ()
        return True


def _is_quiet() -> bool:
    return getattr(getattr(ctx, "options", None), "flow_detail", None) == 0  # only mitmdump has it


UNQUOTED = Unquoted()


def install() -> None:
    """From now on, in this process; doing it again does nothing."""
    logging.getLogger(TOLD_BY).addFilter(UNQUOTED)


def uninstall() -> None:
    """As before."""
    logging.getLogger(TOLD_BY).removeFilter(UNQUOTED)
