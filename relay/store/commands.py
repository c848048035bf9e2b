"""Table of commands that expect a reply."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.engine import RowMapping

from firmware.protocol.commands import (
    Command,
    CommandBody,
    PackageArrived,
    PackageNotTaken,
    ReleaseLogged,
    ReleaseNotLogged,
    Reply,
    SealedStatement,
    UploadTicket,
)
from firmware.protocol.encoding import MAX_MQTT_BYTES, decode
from relay.store.database import Transaction
from relay.store.schema import commands

MAX_STATEMENTS = 64
"""Of owners' statements, so many at once wait for one doorbell."""
NO_PARTITION = -1
"""Of a command that was sent before there were partitions: it is in none, or in any."""
STATEMENT = SealedStatement.__struct_config__.tag


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """One command and, once it came, the reply."""

    command: Command
    answered_ms: int | None
    reply: Reply | None

    def state(self, now_ms: int) -> str:
        """Return waiting, answered or expired."""
        if self.reply is not None:
            return "answered"
        return "expired" if now_ms >= self.command.expires_ms else "waiting"


@dataclass(frozen=True, slots=True)
class Topic:
    """The package or commitment that a command is about, where its doorbell causes it.

    What a doorbell can bring about as often as it likes: of one topic, the newest command replaces
    the others.
    """

    device: str
    kind: str
    about: str


def topic_of(command: Command) -> Topic | None:
    """Return a command's topic; None for one that replaces no other."""
    match command.body:
        case UploadTicket() | PackageArrived() | PackageNotTaken() as body:
            about = body.package_id
        case ReleaseLogged() | ReleaseNotLogged() as body:
            about = body.commitment
        case _:
            return None
    return Topic(command.device, _kind_of(command), about)


async def add(tx: Transaction, command: Command, *, partition: int = NO_PARTITION) -> None:
    """Keep a new command of a doorbell in this partition, in place of one of its topic."""
    topic = topic_of(command)
    if topic is not None:
        replaced = (commands.c.device == topic.device) & (commands.c.kind == topic.kind)
        await tx.execute(delete(commands).where(replaced, commands.c.about == topic.about))
    values = {
        "id": command.id,
        "device": command.device,
        "created_ms": command.time_ms,
        "expires_ms": command.expires_ms,
        "kind": _kind_of(command),
        "about": None if topic is None else topic.about,
        "payload": command.encode().decode(),
        "partition": partition,
    }
    await tx.execute(insert(commands).values(**values))


async def get(tx: Transaction, command_id: str) -> CommandRow | None:
    """Return one command."""
    query = select(commands).where(commands.c.id == command_id)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else _command(row)


async def unanswered(
    tx: Transaction,
    *,
    now_ms: int,
    of: str | None = None,
    partitions: Collection[int] | None = None,
    since_ms: int = 0,
) -> list[Command]:
    """Return the commands without a reply that haven't expired, oldest first.

    That is every command, but of a doorbell's statements MAX_STATEMENTS at most; `of` one doorbell,
    or of the doorbells in some partitions, kept since a time. Those of no partition are in each.
    """
    # "+ 0": else SQLite takes the index by expiry, along which lie those of the whole fleet.
    is_waiting = commands.c.answered_ms.is_(None) & (commands.c.expires_ms + 0 > now_ms)
    if of is not None:
        is_waiting &= commands.c.device == of
    if partitions is not None:
        is_waiting &= commands.c.partition.in_(sorted({NO_PARTITION, *partitions}))
    if since_ms:
        is_waiting &= commands.c.created_ms >= since_ms
    place = func.row_number().over(
        partition_by=commands.c.device, order_by=(commands.c.created_ms, commands.c.id)
    )
    statements = (
        select(commands.c.id, place.label("place"))
        .where(is_waiting, commands.c.kind == STATEMENT)
        .subquery()
    )
    beyond = select(statements.c.id).where(statements.c.place > MAX_STATEMENTS)
    query = (
        select(commands)
        .where(is_waiting, commands.c.id.not_in(beyond))
        .order_by(commands.c.created_ms)
    )
    rows = (await tx.execute(query)).mappings()
    return [_command(row).command for row in rows]


async def count_waiting(
    tx: Transaction, device: str, kind: type[CommandBody], *, now_ms: int
) -> int:
    """Return how many commands of a kind wait for a doorbell's reply and haven't expired."""
    query = (
        select(func.count())
        .select_from(commands)
        .where(
            commands.c.device == device,
            commands.c.kind == kind.__struct_config__.tag,
            commands.c.answered_ms.is_(None),
            commands.c.expires_ms > now_ms,
        )
    )
    return int((await tx.execute(query)).scalar_one())


async def forget(tx: Transaction, *, before_ms: int) -> None:
    """Delete commands that were answered, or expired unanswered, before a time."""
    expired = commands.c.answered_ms.is_(None) & (commands.c.expires_ms < before_ms)
    change = delete(commands).where(or_(commands.c.answered_ms < before_ms, expired))
    await tx.execute(change)


async def answer(tx: Transaction, reply: Reply, *, answered_ms: int) -> None:
    """Store the first reply to a command of that doorbell; a repeated one changes nothing."""
    change = (
        update(commands)
        .where(
            commands.c.id == reply.in_reply_to,
            commands.c.device == reply.device,
            commands.c.answered_ms.is_(None),
        )
        .values(answered_ms=answered_ms, reply=reply.encode().decode())
    )
    await tx.execute(change)


def _kind_of(command: Command) -> str:
    return str(type(command.body).__struct_config__.tag)


def _command(row: RowMapping) -> CommandRow:
    text = row["reply"]
    return CommandRow(
        command=decode(Command, row["payload"].encode(), max_bytes=MAX_MQTT_BYTES),
        answered_ms=row["answered_ms"],
        reply=None if text is None else decode(Reply, text.encode(), max_bytes=MAX_MQTT_BYTES),
    )
