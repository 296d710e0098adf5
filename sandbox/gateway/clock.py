"""The clock of the retry schedule: Razorpay's seconds, which pass faster with a smaller ladder scale."""

import asyncio
import contextlib
import time


class LadderClock:
    """Counts Razorpay's seconds. Waiting follows the scale even if it changes meanwhile."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._at = 0.0
        self._since = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def scale(self) -> float:
        """Return how many real seconds one of Razorpay's seconds takes."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        self._at, self._since = self.now(), time.monotonic()
        self._scale = scale
        self._changed.set()
        self._changed = asyncio.Event()

    def now(self) -> float:
        """Return Razorpay's seconds since an arbitrary moment."""
        return self._at + (time.monotonic() - self._since) / self._scale

    async def wait_until(self, due: float) -> None:
        """Return once it is `due`, in Razorpay's seconds, never earlier."""
        while (left_s := (due - self.now()) * self._scale) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
