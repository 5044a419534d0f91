"""mitmproxy's words about a connection, without the bytes of it that they quote.

A head that cannot be read, or that ends in the middle, stands in mitmproxy's log as it came: with the credential in it.
"""

import logging
import re
from typing import override

TOLD_BY = "mitmproxy.proxy.server"
"""Name of the logger to which connections tell."""
_QUOTED = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


class Unquoted(logging.Filter):
    """Has nothing of the bytes in a message."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if "b'" in said or 'b"' in said:
            record.msg, record.args = _QUOTED.sub("[bytes]", said), ()
        return True


UNQUOTED = Unquoted()


def install() -> None:
    """From now on, in this process; doing it again does nothing."""
    logging.getLogger(TOLD_BY).addFilter(UNQUOTED)


def uninstall() -> None:
    """As before."""
    logging.getLogger(TOLD_BY).removeFilter(UNQUOTED)
