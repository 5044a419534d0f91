"""Upstream's sticky-routing tokens: who issued which, and which one an account issued last in a conversation.

A token of one account means nothing to another (codex.md 2.2). The editor sends the first one of a turn back until the
turn ends; when the turn has moved, that one is replaced by what the serving account itself issued, or left out.
"""

from collections import OrderedDict

from seatpool.service.logins.remembered import digest, remember

LIMIT = 4_096
"""Tokens remembered; a turn is minutes, so the oldest are long over."""


class TurnStates:
    """Hashes of tokens by issuer, and the latest token by conversation and account."""

    def __init__(self) -> None:
        self._issuer: OrderedDict[bytes, int] = OrderedDict()
        self._latest: OrderedDict[tuple[str, int], str] = OrderedDict()

    def learn(self, conversation: str | None, account_id: int, token: str) -> None:
        """Note that an account issued a token."""
        remember(self._issuer, digest(token), account_id, LIMIT)
        if conversation is not None:
            remember(self._latest, (conversation, account_id), token, LIMIT)

    def owned(self, token: str, account_id: int) -> bool:
        """Whether the account may be sent the token: it issued it, or nobody knows who did."""
        return self._issuer.get(digest(token), account_id) == account_id

    def for_account(self, conversation: str | None, token: str | None, account_id: int) -> str | None:
        """What to send an account where the editor sent `token`: that, the account's own, or nothing."""
        if token is None or self.owned(token, account_id):
            return token
        return self.own(conversation, account_id)

    def own(self, conversation: str | None, account_id: int) -> str | None:
        """The latest token that the account itself issued in a conversation."""
        return self._latest.get((conversation, account_id)) if conversation is not None else None
