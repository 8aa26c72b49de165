"""What was handed out before the iterator ended is still made."""

import threading

from phistar.data.prefetch import prefetched


def test_the_last_items_are_made_though_the_iterator_has_ended() -> None:
    free = threading.Event()

    def make(n: int) -> int:
        free.wait(30)
        return 10 * n

    futures = [future for _, future in prefetched(make, range(6), threads=1)]
    free.set()
    assert [future.result(30) for future in futures] == [0, 10, 20, 30, 40, 50]
