"""The clock of the retry ladder: Razorpay's seconds, which pass as much faster as the ladder scale is smaller."""

import asyncio
import contextlib
import time


class LadderClock:
    """Seconds as Razorpay counts them; whoever waits follows a scale that changes meanwhile."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._at = 0.0
        self._since = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def scale(self) -> float:
        """How many of our seconds one of Razorpay's takes."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        self._at, self._since = self.now(), time.monotonic()
        self._scale = scale
        self._changed.set()
        self._changed = asyncio.Event()

    def now(self) -> float:
        """Razorpay's seconds since some moment."""
        return self._at + (time.monotonic() - self._since) / self._scale

    async def wait_until(self, due: float) -> None:
        """Return once it is `due`, in Razorpay's seconds, never before."""
        while (left_s := (due - self.now()) * self._scale) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
