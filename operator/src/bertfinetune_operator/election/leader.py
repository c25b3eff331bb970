"""Takes the Lease, keeps it and gives it back: only the replica that holds it watches and writes."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn, Protocol

from bertfinetune_operator.election.lease import RENEW_DEADLINE, RETRY_PERIOD, Sight, Spec, claim, look, released
from bertfinetune_operator.errors import ClusterError, NotFoundError
from bertfinetune_operator.kinds import Object

ATTEMPT_SECONDS = RENEW_DEADLINE / 2
"""One attempt that hangs leaves time for another one before the deadline."""

MOMENT = 0.01
"""Shortest time, in seconds, that is worth waiting for."""

logger = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """This replica led and must not write any more."""


class Leases(Protocol):
    """What is asked of the API server; `Cluster` in the process."""

    async def get_lease(self, namespace: str, name: str) -> Object:
        """Read a Lease; raise NotFoundError."""

    async def create_lease(self, namespace: str, name: str, spec: Spec) -> Object:
        """Create a Lease; raise ConflictError if there is one."""

    async def replace_lease(self, lease: Object, spec: Spec) -> Object:
        """Replace a Lease's spec; raise ConflictError unless it is still at the version given."""


class Leader:
    """This replica's candidacy for one Lease, under an identity that no process ever had before."""

    def __init__(
        self, leases: Leases, namespace: str, name: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._leases = leases
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._lease: Object | None = None
        self._sight: Sight | None = None
        self._leads_until = float("-inf")
        self._said = ""

    def leads(self) -> bool:
        """Whether this replica may write now. It reads the clock: a process that was stopped does not fool itself."""
        return self._clock() < self._leads_until

    def _left(self) -> float:
        return max(self._leads_until - self._clock(), MOMENT)

    async def acquire(self) -> None:
        """Stand by until the lease is ours; what hinders is logged once and tried again."""
        while not await self._attempt(ATTEMPT_SECONDS):
            # exactly when the holder's time is up, if that comes sooner: nobody waits longer than one lease
            expires = self._sight.expires - self._clock() if self._sight else RETRY_PERIOD
            await asyncio.sleep(min(RETRY_PERIOD, expires) if expires > 0 else RETRY_PERIOD)
        logger.info("leading as %s", self._identity)

    async def hold(self) -> NoReturn:
        """Renew for ever; raise LeaseLostError if that did not work before the deadline, or somebody else leads."""
        while self.leads():
            await asyncio.sleep(min(RETRY_PERIOD, self._left()))
            if self.leads():
                await self._attempt(min(ATTEMPT_SECONDS, self._left()))
        holder = self._sight.holder if self._sight else ""
        taken = holder not in ("", self._identity)
        reason = f"{holder} holds it" if taken else f"it was not renewed for {RENEW_DEADLINE:.0f} s"
        raise LeaseLostError(f"lost the lease {self._namespace}/{self._name}, and so stop: {reason}")

    async def release(self) -> None:
        """Give the lease back if it is ours: another replica takes it at its next look, and not after its expiry."""
        self._leads_until = float("-inf")
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                lease = await self._leases.get_lease(self._namespace, self._name)
                if lease["spec"].get("holderIdentity") == self._identity:
                    await self._leases.replace_lease(lease, released(lease["spec"], _wall()))
        except (ClusterError, TimeoutError) as error:
            logger.warning("the lease was not given back and expires by itself: %s", str(error) or "timeout")

    async def _attempt(self, seconds: float) -> bool:
        """Take or renew the lease; whether it worked."""
        try:
            async with asyncio.timeout(seconds):
                return await self._take()
        except (ClusterError, TimeoutError) as error:
            self._lease = None  # somebody changed it, or it is unknown whether we did: read it again
            self._say(f"lease {self._namespace}/{self._name}: {str(error) or 'the API server does not answer'}")
            return False

    async def _take(self) -> bool:
        if self._lease is None or not self.leads():
            await self._read()
        begun = self._clock()
        spec = claim(self._sight, self._identity, begun, _wall())
        if spec is None:
            self._leads_until = float("-inf")
            self._say(f"standing by: {self._sight.holder if self._sight else ''} leads")
            return False
        if self._lease is None:
            self._see(await self._leases.create_lease(self._namespace, self._name, spec))
        else:
            self._see(await self._leases.replace_lease(self._lease, spec))
        # from when the request was begun: others count from when they see its effect, which is later
        self._leads_until = begun + RENEW_DEADLINE
        self._said = ""
        return True

    async def _read(self) -> None:
        try:
            self._see(await self._leases.get_lease(self._namespace, self._name))
        except NotFoundError:
            self._lease = self._sight = None

    def _see(self, lease: Object) -> None:
        self._lease = lease
        self._sight = look(self._sight, lease.get("spec") or {}, self._clock())

    def _say(self, text: str) -> None:
        """Log what changed, and not every two seconds that it has not."""
        if text != self._said:
            logger.info("%s", text)
        self._said = text


def _wall() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
