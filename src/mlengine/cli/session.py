"""What every command has at hand: the global flags, the server, and a voice on standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlengine.client.api import Api
    from mlengine.client.http import Connection
    from mlengine.client.storage import Storage

VERBOSITIES = ("debug", "info", "warning", "error", "critical", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What of a list is wanted: the flags that every list command has.

    Attributes:
        filter: The expression of --filter; "" for all.
        sort_by: Keys of --sort-by; `~` in front turns the order round.
        limit: At most so many, after the filter; None for all.
        page_size: Rows between two headings; None for one heading.
        uri: Only the addresses.
        flatten: Keys of lists of which each item becomes a record; of any command, not of lists alone.
    """

    filter: str = ""
    sort_by: tuple[str, ...] = ()
    limit: int | None = None
    page_size: int | None = None
    uri: bool = False
    flatten: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of the command.

    Attributes:
        words: The command's words ("jobs describe").
        project: The project's id.
        endpoint: "http://HOST:PORT", without a final slash.
        endpoint_given: Whether flag or environment name it, so that it is no mere default.
        format: As typed after --format; "" for the command's own.
        quiet: No questions; every answer is yes.
        verbosity: One of `VERBOSITIES`.
        environment: The process environment, read here and nowhere else.
        listing: The flags of a list command; of any other, their defaults.
        track: "beta" or "alpha" when that was typed in front, else "".
        log_http: Whether requests and answers are shown on standard error.
        silent: Nothing is printed but errors.
        access_token_file: File with a bearer token, or "".
    """

    words: str
    project: str
    endpoint: str
    endpoint_given: bool
    format: str
    quiet: bool
    verbosity: str
    environment: Mapping[str, str]
    listing: Listing = Listing()
    track: str = ""
    log_http: bool = False
    silent: bool = False
    access_token_file: str = ""

    @cached_property
    def connection(self) -> Connection:
        """The server."""
        return self.connect()

    def connect(self) -> Connection:
        """A connection of its own, for what goes on beside the first one; whoever asks closes it."""
        from mlengine.client.http import Connection

        return Connection(
            self.endpoint,
            trace=self.debug if self.verbosity == "debug" else None,
            log=self.error if self.log_http else None,
            authorization=self._authorization,
            warn=self.warn,
        )

    @cached_property
    def api(self) -> Api:
        """The project's resources on the server."""
        from mlengine.client.api import Api

        return Api(self.connection, self.project)

    @cached_property
    def storage(self) -> Storage:
        """The server's buckets."""
        from mlengine.client.storage import Storage

        return Storage(self.connection, self.project)

    def close(self) -> None:
        """Give back what was opened."""
        if "connection" in self.__dict__:
            self.connection.close()

    def say(self, text: str, *, end: str = "\n") -> None:
        """What the user should see beside the result."""
        if not self.silent:
            print(text, end=end, file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        """What must be seen even where nothing else is printed."""
        print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Something that is probably not meant."""
        self._leveled("warning", f"WARNING: {text}")

    def info(self, text: str) -> None:
        """What only --verbosity info asks for."""
        self._leveled("info", f"INFO: {text}")

    def debug(self, text: str) -> None:
        """What only --verbosity debug asks for."""
        self._leveled("debug", f"DEBUG: {text}")

    def confirm(self, warning: str) -> bool:
        """Whether to go on; yes without a question if quiet, or at the end of input."""
        if self.quiet:
            return True
        self.say(f"{warning}\n\nDo you want to continue (Y/n)?  ", end="")
        while True:
            answer = sys.stdin.readline()
            if not answer:
                self.say("")
                return True
            word = answer.strip().lower()
            if word in ("", "y", "yes"):
                return True
            if word in ("n", "no"):
                return False
            self.say("Please enter 'y' or 'n':  ", end="")

    @cached_property
    def _authorization(self) -> str:
        """The header that says who is calling; "" for nobody."""
        if not self.access_token_file:
            from mlengine.client.credentials import authorization

            return authorization(self.environment, self.endpoint)
        from pathlib import Path

        from mlengine.errors import InvalidArgument

        try:
            token = Path(self.access_token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InvalidArgument(f"--access-token-file {self.access_token_file}: {reason}.") from None
        if not token or not token.isprintable() or " " in token:
            raise InvalidArgument(
                f"--access-token-file {self.access_token_file} holds no token.",
                hint="One line is expected: the token and nothing else.",
            )
        return f"Bearer {token}"

    def _leveled(self, level: str, text: str) -> None:
        if VERBOSITIES.index(self.verbosity) <= VERBOSITIES.index(level):
            self.say(text)
