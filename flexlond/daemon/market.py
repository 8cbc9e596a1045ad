"""The market beside the loop: each agent at its stalls, watched, opened again after a fault.

Law: nothing here is waited for by the loop of holds, and no fault here leaves here: it is logged, said in the
status under `market AGENT`, and the agent's stalls are opened again, later each time. The end is orderly and
takes at most PATIENCE. A reload exchanges keys and trust files of open stalls; what else changed of an agent's
identities opens its stalls anew. Durations are seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import structlog

from flexlond.beckn.wire.actions import Role
from flexlond.daemon.books import TURN_SECONDS
from flexlond.daemon.config_checks_market import ROLES, has_place
from flexlond.daemon.market_place import MarketError, Stall
from flexlond.model.market_settings import Agent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.agents.market.port import MarketAgent
    from flexlond.daemon.books import Books
    from flexlond.model.market_settings import IdentitySettings
    from flexlond.model.settings import Settings

_log = structlog.get_logger()

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
PATIENCE = 3.0
PRUNE_EVERY = 86_400.0
_TAKEN_OVER = ("key", "key_file", "key_id", "trust_file", "keep_days")


class Market:
    """The agents of the market that this process runs."""

    def __init__(
        self,
        settings: Settings,
        makers: Mapping[str, Callable[[Settings], MarketAgent]] | None = None,
        books: Books | None = None,
    ) -> None:
        """`makers` makes each agent, by the name in [agents]; `books` puts what they do into settlement."""
        self._books = books
        self._keeping: asyncio.Task[None] | None = None
        self._settings = settings
        self.makers = makers or {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._warn: Callable[[str, str], object] = lambda _topic, _text: None
        self._poke: Callable[[], None] = lambda: None
        self.agents: dict[str, MarketAgent] = {}  # those whose stalls are open
        self.stalls: dict[str, list[Stall]] = {}

    def start(
        self, warn: Callable[[str, str], object], poke: Callable[[], None] = lambda: None
    ) -> None:
        """Open what the configuration names.

        `warn(topic, text)` says or withdraws a warning, `poke` makes the loop's next cycle come at once.
        """
        self._warn, self._poke = warn, poke
        for agent in self._chosen(self._settings):
            self._start(agent)
        if self._books is not None:
            self._keeping = asyncio.create_task(self._keep_books(self._books), name="books")

    def poke(self) -> None:
        """Make the loop's next cycle come at once."""
        self._poke()

    async def reload(self, settings: Settings) -> str:
        """Take over checked settings; what changed, "" for nothing."""
        before, self._settings = self._settings, settings
        if self._books is not None:
            self._books.settings = settings
        said = []
        for agent in get_args(Agent):
            was, now = _of(before, agent), _of(settings, agent)
            runs = agent in self._tasks
            wanted = agent in self._chosen(settings)
            if runs and (not wanted or _plain(was) != _plain(now)):
                await self._end(agent)
                runs = False
                said.append(f"{agent} left its stalls")
            if wanted and not runs:
                self._start(agent)
                said.append(f"{agent} opens its stalls")
            elif runs:
                said += self._take(agent, now, settings)
        return "; ".join(said)

    async def close(self) -> None:
        """Leave the market in order; what was promised is in the journals."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,), timeout=PATIENCE)
        await asyncio.gather(*(self._end(agent) for agent in list(self._tasks)))
        if self._books is not None:
            await self._books.close()

    async def _keep_books(self, books: Books) -> None:
        """Turn by turn; what cannot be written now is written later."""
        while True:
            stalls = [stall for each in self.stalls.values() for stall in each]
            journals = {stall.name: stall.node.journal for stall in stalls}
            text = ""
            try:
                await books.turn(self.agents, journals, int(time.time()))
            except Exception as error:  # noqa: BLE001 -- whatever it is, the loop of holds goes on
                text = f"settlement is not fed ({type(error).__name__}: {error}); it is tried again"
                _log.error("settlement not fed", exc_info=True)
            self._warn("settlement", " ".join(text.split()))
            await asyncio.sleep(TURN_SECONDS if not text else LONGEST_WAIT)

    def _chosen(self, settings: Settings) -> list[str]:
        """Agents that run and have every identity that they need."""
        return [
            agent
            for agent in get_args(Agent)
            if getattr(settings.agents, agent)
            and agent in self.makers
            and has_place(settings, agent)
        ]

    def _take(
        self, agent: str, chosen: Mapping[str, IdentitySettings], settings: Settings
    ) -> list[str]:
        said = []
        for stall in self.stalls.get(agent, ()):
            try:
                stall.take(chosen[stall.name])
                said.append(f"{stall.name}: key and trust file read again")
            except MarketError as error:
                _log.error("market identity not taken over", error=str(error))
                said.append(f"not taken over, the old key and trust file stay: {error}")
        if agent in self.agents:
            self.agents[agent].take(settings)
        return said

    def _start(self, agent: str) -> None:
        self._tasks[agent] = asyncio.create_task(self._keep(agent), name=f"market {agent}")

    async def _end(self, agent: str) -> None:
        task = self._tasks.pop(agent)
        task.cancel()
        await asyncio.wait((task,), timeout=PATIENCE)
        self._warn(f"market {agent}", "")

    async def _keep(self, agent: str) -> None:
        """Open the agent's stalls, again and again."""
        wait = FIRST_WAIT
        while True:
            began = time.monotonic()
            try:
                await self._open(agent)
            except MarketError as error:
                text = str(error)
                _log.error("market agent not at its stalls", agent=agent, error=text)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the loop of holds goes on
                inner = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
                text = f"{type(inner).__name__}: {inner}"
                _log.error("market agent failed", agent=agent, exc_info=True)
            if time.monotonic() - began > LONGEST_WAIT:
                wait = FIRST_WAIT
            self._warn(
                f"market {agent}",
                f"{agent} is not on the market ({' '.join(text.split())}); next try in {wait:.0f} s; orders "
                "that stand are in its journal, windows that were made go on",
            )
            await asyncio.sleep(wait)
            wait = min(LONGEST_WAIT, wait * 2)

    async def _open(self, agent: str) -> None:
        """From the opening to the first fault, or until cancelled."""
        settings = self._settings
        state_dir = Path(settings.daemon.state_dir)
        made = self.makers[agent](settings)
        async with contextlib.AsyncExitStack() as stack:
            stalls = []
            for name, chosen in _of(settings, agent).items():
                stall = Stall(name, chosen, state_dir, made.business(Role(chosen.role)))
                stack.push_async_callback(stall.close)
                stalls.append(stall)
            made.join({stall.role: stall.place() for stall in stalls})
            for stall in stalls:
                stall.listen()
            tasks = [asyncio.create_task(stall.run()) for stall in stalls]
            tasks += [asyncio.create_task(made.run()), asyncio.create_task(_prune(stalls))]
            self.agents[agent], self.stalls[agent] = made, stalls
            self._warn(f"market {agent}", "")
            for stall in stalls:
                _log.info("on the market", agent=agent, role=stall.role.value, port=stall.port)
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                raise MarketError("a part of it ended")
            finally:
                del self.agents[agent], self.stalls[agent]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _prune(stalls: list[Stall]) -> None:
    while True:
        for stall in stalls:
            stall.prune(time.time())
        await asyncio.sleep(PRUNE_EVERY)


def _of(settings: Settings, agent: str) -> dict[str, IdentitySettings]:
    """The identities in which an agent acts, by name."""
    found = (settings.market.of(agent, role) for role in ROLES)
    return dict(one for one in found if one is not None)


def _plain(chosen: Mapping[str, IdentitySettings]) -> dict[str, dict[str, object]]:
    """What of it needs new stalls when it changes."""
    return {
        name: {
            field: getattr(one, field)
            for field in one.__struct_fields__
            if field not in _TAKEN_OVER
        }
        for name, one in chosen.items()
    }
