"""Errors of a first boot: each has a code for programs and a text that says what to do."""


class FirstBootError(Exception):
    """The root of a first boot's errors."""


class CommandFailed(FirstBootError):
    """A program of the system failed."""

    def __init__(self, program: str, message: str) -> None:
        super().__init__(f"{program}: {message}")
        self.program = program


class StepFailed(FirstBootError):
    """A step can't be done now; `code` names the reason, `will_retry` whether waiting may help."""

    def __init__(self, code: str, text: str, *, will_retry: bool) -> None:
        super().__init__(text)
        self.code = code
        self.will_retry = will_retry
