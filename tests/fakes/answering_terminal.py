"""A person at a terminal who answers by a list; implements `provisioning.answers.Terminal`."""


class AnsweringTerminal:
    """`answers` are typed in order; `shown` is what was asked and told."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.shown: list[str] = []

    @property
    def is_done(self) -> bool:
        """Whether all answers were asked for."""
        return not self._answers

    def ask(self, question: str) -> str:
        self.shown.append(question)
        return self._answers.pop(0)

    def ask_secret(self, question: str) -> str:
        return self.ask(question)

    def tell(self, text: str) -> None:
        self.shown.append(text)
