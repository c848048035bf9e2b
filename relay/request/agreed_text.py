"""The check that an agency's agreement is public as it was signed: without it nobody asks."""

from relay.agency.agencies import Agency
from relay.custody.errors import TextNotAgreed
from relay.custody.text_reader import read_agreed_text
from relay.request.rules import RequestRefused
from relay.store.database import Transaction


async def require_agreed_text(tx: Transaction, agency: Agency) -> None:
    """Raise RequestRefused unless this relay shows the text of the agreement in force."""
    try:
        await read_agreed_text(tx, agency.agreement.text_sha256)
    except TextNotAgreed as error:
        raise RequestRefused("agreement.text", str(error)) from error
