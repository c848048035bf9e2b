"""A broker's client that connects to nothing: it remembers which commands it was handed."""

from firmware.protocol.commands import Command
from firmware.protocol.encoding import MAX_MQTT_BYTES, decode
from relay.bus import Bus, MessageHandler


class RememberingBus(Bus):
    """Stands for the way down to doorbells; each command once, however often it is repeated."""

    def __init__(self) -> None:
        super().__init__("nats://127.0.0.1:1", relay_seed="", system_seed="")
        self.commands: dict[str, Command] = {}

    @property
    def is_connected(self) -> bool:
        return True

    @property
    def is_hearing(self) -> bool:
        return True

    async def flush(self) -> None:
        """Nothing is under way."""

    async def publish_command(self, device: str, data: bytes) -> None:
        command = decode(Command, data, max_bytes=MAX_MQTT_BYTES)
        assert command.device == device
        self.commands[command.id] = command

    async def on_replies(self, handler: MessageHandler) -> None:
        """Tests hand replies to `Commands.take_reply` themselves."""

    async def publish_to_relays(self, name: str, data: bytes) -> None:
        """There is no other relay process."""

    async def on_relays(self, name: str, handler: MessageHandler) -> None:
        """There is no other relay process that would tell it anything."""
