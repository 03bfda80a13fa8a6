"""Doing what a verb wants in the calling thread; several verbs at once in a few more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from mlengine.client.api import Api
from mlengine.client.storage import Storage
from mlengine.sdk.effects import Course, Give, Pause, Request, Steps, Together, Wish, Work
from mlengine.sdk.lines import Lines

T = TypeVar("T")


class Blocking:
    """Runs verbs; any number of threads may ask.

    Args:
        project: The project's id, for work on its resources.
    """

    def __init__(self, lines: Lines, project: str) -> None:
        self._lines = lines
        self._project = project

    def run(self, steps: Steps[T]) -> T:
        """The result of a verb; what it gives on the way is dropped. Raises what the verb raises."""
        course = Course(steps)
        while wish := course.next():
            self._settle(course, wish)
        result: T = course.result
        return result

    def stream(self, steps: Steps[None]) -> Iterator[Any]:
        """What a verb gives, as it comes. Raises what the verb raises."""
        course = Course(steps)
        try:
            while wish := course.next():
                if isinstance(wish, Give):
                    yield wish.value
                else:
                    self._settle(course, wish)
        finally:
            course.close()

    def _settle(self, course: Course, wish: Wish) -> None:
        try:
            course.told(self._fulfil(wish))
        except Exception as error:  # the verb decides what it means
            course.failed(error)

    def _fulfil(self, wish: Wish) -> Any:
        match wish:
            case Request():
                with self._lines.lend() as line:
                    return line.reply(wish)
            case Pause():
                time.sleep(wish.seconds)
            case Work():
                with self._lines.lend() as line:
                    return wish.act(Api(line, self._project), Storage(line, self._project))
            case Together():
                return self._together(wish)
        return None

    def _together(self, wish: Together) -> list[Any]:
        source = iter(enumerate(wish.verbs))
        results: dict[int, Any] = {}
        failures: dict[int, Exception] = {}
        lock = Lock()

        def work() -> None:
            while True:
                with lock:
                    if failures:
                        return
                    try:
                        number, steps = next(source)
                    except StopIteration:
                        return
                    except Exception as error:  # a verb that cannot even be made comes after all others
                        failures[len(results) + wish.most] = error
                        return
                try:
                    results[number] = self.run(steps)
                except Exception as error:
                    failures[number] = error

        with ThreadPoolExecutor(wish.most, thread_name_prefix="mlengine-predict") as pool:
            try:
                for done in [pool.submit(work) for _ in range(wish.most)]:
                    done.result()
            except BaseException as end:  # Ctrl-C: what is not begun stays so
                failures[-1] = RuntimeError(f"stopped by {type(end).__name__}")
                raise
        if failures:
            raise failures[min(failures)]
        return [results[number] for number in sorted(results)]
