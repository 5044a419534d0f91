"""What people ask: turns of conversations, over days with a lunch and a night.

A person prompts; an agent answers with a series of turns seconds apart; the person reads, for minutes, and prompts
again. What a turn adds stays in the context of the next one, until the conversation is compacted. Some conversations
are left and taken up hours later, and some prompts start sub-agents that talk at the same time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

DAY_S = 86_400.0
HOUR_S = 3_600.0

START = (8_000, 18_000)
"""Tokens that a conversation begins with: instructions, tools, the first files."""
FULL = 200_000
COMPACTED = 30_000
ADDED = (7.3, 0.9)
"""Logarithms of tokens that a turn adds beside its output (median 1,500): tool results, files."""
OUTPUT = (6.3, 0.8)
"""Of tokens that the model writes in a turn (median 540)."""
STEP = (2.2, 0.8)
"""Of seconds between two turns of a series (median 9)."""
READING = (4.8, 1.0)
"""Of seconds between an answer and the next prompt (median 2 minutes; one in six is above 5)."""
LENGTH = (3.0, 0.75)
"""Of turns in a conversation (median 20)."""
SHORTEST, LONGEST = 5, 80
SERIES = 6.0
"""Turns that a prompt leads to, on average."""
RESUMED = 0.12
SUB_AGENT = 0.2
SECOND_MAIN = 0.3
"""Share of people who work on two things at a time."""
TOKENS_PER_S = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One request."""

    at: float
    """Seconds since the simulation began, at midnight of a Monday."""
    conversation: str
    number: int
    """Within its conversation, from 0."""
    context: int
    """Tokens sent."""
    known: int
    """How many of them a perfect cache could hold: what the turn before sent and got."""
    output: int

    @property
    def duration_s(self) -> float:
        """Until the answer has ended."""
        return 1.5 + self.output / TOKENS_PER_S


def turns(random: Random, people: int, weeks: float) -> list[Turn]:
    """What so many people ask in so many weeks, in the order of time."""
    found = [turn for person in range(people) for turn in _Person(Random(random.random()), person).work(weeks)]
    return sorted(found, key=lambda t: (t.at, t.conversation))


class _Person:
    def __init__(self, random: Random, number: int) -> None:
        self._random = random
        self._name = f"p{number}"
        self._begun = 0
        self._rises = random.gauss(9.0, 0.8)
        self._mains = 2 if random.random() < SECOND_MAIN else 1
        self._weekends = random.random() < 0.4

    def work(self, weeks: float) -> Iterator[Turn]:
        for day in range(int(weeks * 7)):
            for begin, end in self._blocks(day):
                for _ in range(self._mains):
                    yield from self._sit(begin, end)

    def _blocks(self, day: int) -> Iterator[tuple[float, float]]:
        """The hours of a day at work, in seconds since the simulation began."""
        r, zero = self._random, day * DAY_S
        weekend = day % 7 >= 5
        if weekend and not (self._weekends and r.random() < 0.5):
            return
        morning = self._rises + r.gauss(0, 0.4)
        if weekend:
            yield zero + (morning + 2) * HOUR_S, zero + (morning + 2 + r.uniform(1, 4)) * HOUR_S
            return
        lunch = r.uniform(12, 13)
        yield zero + morning * HOUR_S, zero + lunch * HOUR_S
        yield zero + (lunch + r.uniform(0.6, 1.2)) * HOUR_S, zero + r.gauss(17.8, 0.8) * HOUR_S
        if r.random() < 0.25:
            yield zero + r.uniform(20.5, 21.5) * HOUR_S, zero + r.uniform(22.5, 24.5) * HOUR_S

    def _sit(self, begin: float, end: float) -> Iterator[Turn]:
        r, now = self._random, begin + self._random.expovariate(1 / 600)
        while now < end:
            talk = _Talk(r, self._next())
            count = min(max(round(r.lognormvariate(*LENGTH)), SHORTEST), LONGEST)
            leaves = count // 2 if r.random() < RESUMED else count
            for made in self._converse(talk, now, leaves, end):
                now = made.at
                yield made
            if leaves < count:  # taken up again, hours later
                later = now + r.uniform(1.5, 20) * HOUR_S
                yield from self._converse(talk, later, count - leaves, later + 2 * HOUR_S)
            now += r.expovariate(1 / 420) + 30

    def _converse(self, talk: "_Talk", now: float, count: int, end: float) -> Iterator[Turn]:
        r = self._random
        while count > 0 and now < end:
            if r.random() < SUB_AGENT:
                yield from self._delegate(now)
            for _ in range(min(count, 1 + int(r.expovariate(1 / SERIES)))):
                made = talk.turn(now)
                yield made
                now += made.duration_s + r.lognormvariate(*STEP)
                count -= 1
            now += r.lognormvariate(*READING)

    def _delegate(self, now: float) -> Iterator[Turn]:
        talk = _Talk(self._random, self._next())
        now += self._random.uniform(5, 30)
        for _ in range(self._random.randint(SHORTEST, 25)):
            made = talk.turn(now)
            yield made
            now += made.duration_s + self._random.lognormvariate(*STEP)

    def _next(self) -> str:
        self._begun += 1
        return f"{self._name}-c{self._begun}"


class _Talk:
    """A conversation as its client keeps it."""

    def __init__(self, random: Random, name: str) -> None:
        self._random = random
        self._name = name
        self._number = 0
        self._held = 0
        self._context = random.randint(*START)

    def turn(self, at: float) -> Turn:
        known = self._held
        if self._number:
            self._context += round(self._random.lognormvariate(*ADDED))
        if self._context > FULL:
            self._context, known = COMPACTED, 0
        output = max(20, round(self._random.lognormvariate(*OUTPUT)))
        made = Turn(at, self._name, self._number, self._context, known, output)
        self._number += 1
        self._context += output
        self._held = self._context
        return made
