"""An upstream's answer, from how it came to how the client reads it.

In the flow stands neither: secrets are moved out when it comes, and the copy that goes to the client has them back, and
nothing in it that would be believed of the client's own account and is true of another.
"""

from collections.abc import Callable
from urllib.parse import quote

import msgspec
from mitmproxy import http

from seatpool.providers.base import Provider
from seatpool.providers.http import Headers, HeaderView
from seatpool.proxy.answers import headers_of
from seatpool.proxy.hiding import FieldList, Fields, hide, restored, secrets, with_fields
from seatpool.service.trail import Assignment

ACCOUNT_HEADER = b"x-seatpool-account"
"""Of answers, where the person wants it (`pool_account_header`)."""
PLAIN = " !#$&'()*+,/:;=?@[]"
"""Characters of a name that stand in it as they are, beside letters and digits; others are percent-encoded UTF-8."""
_NONE = frozenset[bytes]()


class Came(msgspec.Struct, frozen=True):
    """An answer as it came; an empty one's fields are those of an answer of ours."""

    response: http.Response
    fields: Fields = ()
    assignment: Assignment | None = None
    """Whom it is for; None for the editor's own login."""

    @classmethod
    def received(cls, response: http.Response, assignment: Assignment | None) -> "Came":
        """It has begun: take the secrets out of it."""
        came = cls(response, response.headers.fields, assignment)
        hide(response)
        return came

    @property
    def name(self) -> str | None:
        """Of the account that it is for."""
        return self.assignment.account.name if self.assignment is not None else None

    @property
    def headers(self) -> Headers:
        """As they came."""
        return headers_of(self.fields or self.response.headers.fields)

    def misleading(self, provider: Provider, asked: HeaderView) -> frozenset[bytes]:
        """Headers that the client would believe of its own account, or take ill of the model that we have asked for.

        `asked` are the headers that the editor sent.
        """
        if self.assignment is None:
            return _NONE
        return self._of_another_account(provider, asked) | self._of_another_model(provider)

    def _of_another_account(self, provider: Provider, asked: HeaderView) -> frozenset[bytes]:
        assert self.assignment is not None
        if not any(name.lower() in provider.accounts_own for name, _ in self.fields):
            return _NONE
        return _NONE if provider.holds(asked, self.assignment.credential) else provider.accounts_own

    def _of_another_model(self, provider: Provider) -> frozenset[bytes]:
        assert self.assignment is not None
        wish = self.assignment.edits.wish
        if wish is None or wish.model is None:
            return _NONE
        told = {value.lower() for name, value in self.fields if name.lower() in provider.model_names}
        return provider.model_names if told == {wish.model.lower().encode()} else _NONE

    def delivered(
        self, misleading: frozenset[bytes], told: str | None, shown: Callable[[int, FieldList], FieldList] | None
    ) -> http.Response:
        """As the client gets it: with its secrets, without what misleads.

        `told` is whose it is, where the client is to know; `shown` has the head tell other numbers of quota.
        """
        hidden = secrets(self.fields)
        if not (hidden or misleading) and told is None and shown is None:
            return self.response
        fields = restored(self.response.headers.fields, hidden)
        if misleading:
            fields = [field for field in fields if field[0].lower() not in misleading]
        if shown is not None:
            fields = shown(self.response.status_code, fields)
        if told is not None:
            fields = [field for field in fields if field[0].lower() != ACCOUNT_HEADER]
            fields.append((ACCOUNT_HEADER, quote(told, safe=PLAIN).encode()))
        return with_fields(self.response, fields)
