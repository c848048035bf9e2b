"""The facts about a relay that posts' texts are checked against: its agencies and requests."""

from relay.agency.agencies import agency_of
from relay.agency.register import RegisterView, RelayRegister
from relay.feed.text_rules import TextContext


class TextContexts:
    """Makes the context of a text from the register of now."""

    def __init__(self, register: RelayRegister, public_url: str) -> None:
        self._register = register
        self._request_prefix = f"{public_url}/requests/"

    async def of_neighbours(self) -> TextContext:
        """Return the context of a neighbour's text."""
        return self.context(await self._register.view(), agency=None)

    def context(self, view: RegisterView, *, agency: str | None) -> TextContext:
        """Return the context of a text; an agency's own requests are all that it may link to."""

        def is_published(request_id: str) -> bool:
            record = view.register.request_by_id(request_id)
            if record is None or record.is_withdrawn:
                return False
            return agency is None or record.request.agency == agency

        agencies = [agency_of(view, one) for one in sorted(view.register.agreements)]
        return TextContext(
            agency_names=[one.name for one in agencies if one is not None],
            request_prefix=self._request_prefix,
            is_published=is_published,
        )
