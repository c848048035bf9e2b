"""A sound server of the test's own: PulseAudio with two null sinks as loudspeaker and street.

What the doorbell plays into "speaker" can be heard at its monitor; what a test plays into
"street" the doorbell hears as its microphone. No sound hardware and no kernel driver are needed,
and no other sound server is touched: socket and folder are private.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MISSING = ", ".join(
    f"{program} (apt: {package})"
    for program, package in (("pulseaudio", "pulseaudio"), ("pacat", "pulseaudio-utils"))
    if shutil.which(program) is None
)
START_S = 10.0
RAW = ("--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20", "--raw")


class Recording:
    """What was heard: s16le, mono, 48 kHz."""

    samples = b""


class SoundServer:
    """One PulseAudio; `start` and `stop` it as often as a card is plugged in and out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "pulse.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_SINK": "speaker",
            "PULSE_SOURCE": "street.monitor",
            "PULSE_COOKIE": str(self.folder / "cookie"),
        }

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        modules = (
            f"module-native-protocol-unix socket={self.socket} auth-anonymous=1",
            "module-null-sink sink_name=speaker rate=48000",
            "module-null-sink sink_name=street rate=48000",
        )
        self._process = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                "--disable-shm=yes", "--realtime=no", "--high-priority=no",
                *(part for module in modules for part in ("-L", module)),
            ],
            env=os.environ | {"XDG_RUNTIME_DIR": str(self.folder), "HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit_s = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < limit_s, "PulseAudio doesn't start"
            time.sleep(0.05)

    def stop(self) -> None:
        for player in self._players:
            player.kill()
            player.wait()
        self._players.clear()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_S)
            self._process = None

    def play(self, samples: bytes, *, into: str = "street") -> None:
        """Play a sound (s16le, mono, 48 kHz) into a sink, in the background."""
        with tempfile.TemporaryFile(dir=self.folder) as sound:
            sound.write(samples)
            sound.seek(0)
            player = subprocess.Popen(
                ["pacat", "--playback", f"--device={into}", *RAW],
                env=os.environ | self.env,
                stdin=sound,
                stderr=subprocess.DEVNULL,
            )
        self._players.append(player)

    @contextlib.contextmanager
    def recording(self, of: str = "speaker") -> Iterator["Recording"]:
        """Record what a sink plays; the samples are there after the block."""
        recording = Recording()
        with tempfile.TemporaryFile(dir=self.folder) as sound:
            recorder = subprocess.Popen(
                ["pacat", "--record", f"--device={of}.monitor", *RAW],
                env=os.environ | self.env,
                stdout=sound,
                stderr=subprocess.DEVNULL,
            )
            self._players.append(recorder)
            try:
                yield recording
                time.sleep(0.3)  # what is on its way
            finally:
                recorder.terminate()
                recorder.wait(START_S)
            sound.seek(0)
            recording.samples = sound.read()

    def users_of(self, what: str) -> int:
        """Return how many streams are open: "source-outputs" listen, "sink-inputs" play."""
        listed = subprocess.run(
            ["pactl", "list", "short", what],
            env=os.environ | self.env,
            capture_output=True,
            check=True,
            timeout=START_S,
        )
        return len(listed.stdout.splitlines())

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            with contextlib.suppress(OSError):
                probe.connect(str(self.socket))
                return True
        return False


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    """A running sound server in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="doorward-pulse-") as folder:
        server = SoundServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
