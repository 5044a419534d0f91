"""Forms of settings files: each reads what stands there, puts settings in, and takes its own out again.

`read(text)` tells the values by key; `put(text, settings)` gives the text with the settings in it;
`take(text, settings, former)` gives the text without them: where a value is still the one that was put, the one of
`former` (the text before) takes its place, or the key goes. All raise `Unreadable` for what the client could not read.
`mark` is what a file has to begin with that was all ASCII before, and no longer is.
Nothing else of a text is touched: comments, order, indentation and line ends stay. Forms are values, so that a journal
can say which it was.
"""

from seatpool.setup.editors.forms.block import Block
from seatpool.setup.editors.forms.dotenv import Dotenv
from seatpool.setup.editors.forms.jsonc import Jsonc
from seatpool.setup.editors.forms.value import Value
from seatpool.setup.editors.forms.xml import Options

AnyForm = Block | Dotenv | Jsonc | Options

__all__ = ["AnyForm", "Block", "Dotenv", "Jsonc", "Options", "Value"]
