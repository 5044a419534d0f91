"""In which order those who wait are served: each conversation in turn, and within one as they came."""

from collections import OrderedDict, deque
from collections.abc import Iterator


class Fair[T]:
    """A queue of queues. A conversation with a hundred requests delays another one's first by one place, not by all."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, conversation: str, item: T) -> None:
        """Stand at the end of one's own conversation; a new one stands behind the others."""
        self._queues.setdefault(conversation, deque()).append(item)

    def discard(self, conversation: str, item: T) -> None:
        """Leave without having been served; nothing where it is not there."""
        queue = self._queues.get(conversation)
        if queue is not None and item in queue:
            queue.remove(item)
            if not queue:
                del self._queues[conversation]

    def serve(self, conversation: str, item: T) -> None:
        """Leave, being served: the conversation's next one stands behind the other conversations."""
        self.discard(conversation, item)
        if conversation in self._queues:
            self._queues.move_to_end(conversation)

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Everybody, in the order in which they are to be asked: first the first of each conversation, and so on."""
        lines = [(conversation, list(queue)) for conversation, queue in self._queues.items()]
        for place in range(max((len(line) for _, line in lines), default=0)):
            yield from ((conversation, line[place]) for conversation, line in lines if place < len(line))
