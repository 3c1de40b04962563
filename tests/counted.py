class Counted:
    """Takes what a progress bar is told."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.done = 0

    def __call__(self, amount: int = 0, total: int | None = None) -> None:
        self.totals += [] if total is None else [total]
        self.done += amount
