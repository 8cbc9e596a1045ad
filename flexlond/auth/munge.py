"""MUNGE credentials over libmunge: who, on this cluster, says these bytes.

Law: a credential is good only when libmunge says so without reservation: an expired, rewound or replayed
one is an error although libmunge could name its author. Nothing is cached and nothing is retried here.
Both calls block for one round trip to munged (well under a millisecond): run them in a thread.
Units: seconds for the time to live. Source: munge.h, munge(3), munge_ctx(3), munge_enum(3).
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

LIBRARY = "libmunge.so.2"
TIME_TO_LIVE = 60  # seconds; both ends are on one host, and a replay cache does not outlive munged

_OPT_TTL = 4
_OPT_SOCKET = 8


class MungeCode(IntEnum):
    """libmunge's own error numbers (munge.h), and ours for a missing library."""

    NO_LIBRARY = -1
    SUCCESS = 0
    SNAFU = 1
    BAD_ARG = 2
    BAD_LENGTH = 3
    OVERFLOW = 4
    NO_MEMORY = 5
    SOCKET = 6
    TIMEOUT = 7
    BAD_CRED = 8
    BAD_VERSION = 9
    BAD_CIPHER = 10
    BAD_MAC = 11
    BAD_ZIP = 12
    BAD_REALM = 13
    CRED_INVALID = 14
    CRED_EXPIRED = 15
    CRED_REWOUND = 16
    CRED_REPLAYED = 17
    CRED_UNAUTHORIZED = 18


_ADVICE = {
    MungeCode.NO_LIBRARY: "install the package libmunge2 (Debian, Ubuntu) or munge-libs",
    MungeCode.SOCKET: "check that munged runs (`systemctl status munge`) and that its socket is readable",
    MungeCode.TIMEOUT: "check that munged runs (`systemctl status munge`) and is not overloaded",
    MungeCode.CRED_INVALID: "both ends must use the same munge.key",
    MungeCode.CRED_EXPIRED: "check the clocks, then send the call again with a new credential",
    MungeCode.CRED_REWOUND: "check the clocks, then send the call again with a new credential",
    MungeCode.CRED_REPLAYED: "each call needs its own credential",
}


class MungeError(Exception):
    """libmunge refused or could not be reached; `code` says which."""

    def __init__(self, code: MungeCode, doing: str, said: str) -> None:
        """`doing` is what was tried ("decode a credential"), `said` libmunge's own words."""
        advice = _ADVICE.get(code, "see the log of munged")
        super().__init__(f"munge could not {doing}: {said} ({code.name.lower()}); {advice}")
        self.code = code

    @property
    def unreachable(self) -> bool:
        """Whether munged could not be asked at all, so that nothing is known of the credential."""
        return self.code in {MungeCode.NO_LIBRARY, MungeCode.SOCKET, MungeCode.TIMEOUT}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A good credential: what was said and by whom."""

    payload: bytes
    uid: int
    gid: int


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise MungeError(MungeCode.NO_LIBRARY, f"load {LIBRARY}", str(error)) from error
    context, length = ctypes.c_void_p, ctypes.c_int
    lib.munge_ctx_create.argtypes = []
    lib.munge_ctx_create.restype = context
    lib.munge_ctx_destroy.argtypes = [context]
    lib.munge_ctx_destroy.restype = None
    # munge_ctx_set is variadic: its options are passed as ctypes objects at the call.
    lib.munge_ctx_set.restype = ctypes.c_int
    lib.munge_strerror.argtypes = [ctypes.c_int]
    lib.munge_strerror.restype = ctypes.c_char_p
    lib.munge_ctx_strerror.argtypes = [context]
    lib.munge_ctx_strerror.restype = ctypes.c_char_p
    lib.munge_encode.argtypes = [ctypes.POINTER(ctypes.c_void_p), context, ctypes.c_char_p, length]
    lib.munge_encode.restype = ctypes.c_int
    lib.munge_decode.argtypes = [
        ctypes.c_char_p,
        context,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_int),
        ctypes.POINTER(ctypes.c_uint32),
        ctypes.POINTER(ctypes.c_uint32),
    ]
    lib.munge_decode.restype = ctypes.c_int
    return lib


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    libc.free.restype = None
    return libc


def _code(number: int) -> MungeCode:
    try:
        return MungeCode(number)
    except ValueError:  # a number newer than this table is an error like any other
        return MungeCode.SNAFU


class _Context:
    """One libmunge context: made for one call, so that no state is shared between threads."""

    def __init__(self, socket: str, doing: str) -> None:
        self.lib = _library()
        self.doing = doing
        self.handle = ctypes.c_void_p(self.lib.munge_ctx_create())
        if not self.handle:
            raise MungeError(MungeCode.NO_MEMORY, doing, "out of memory")
        self._set(_OPT_TTL, ctypes.c_int(TIME_TO_LIVE))
        if socket:
            self._set(_OPT_SOCKET, ctypes.c_char_p(socket.encode()))

    def _set(self, option: int, value: ctypes.c_int | ctypes.c_char_p) -> None:
        self.check(self.lib.munge_ctx_set(self.handle, ctypes.c_int(option), value))

    def check(self, number: int) -> None:
        """Raise MungeError unless libmunge returned success."""
        if number == MungeCode.SUCCESS:
            return
        words = self.lib.munge_ctx_strerror(self.handle) or self.lib.munge_strerror(number) or b""
        raise MungeError(_code(number), self.doing, words.decode(errors="replace"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lib.munge_ctx_destroy(self.handle)


def encode(payload: bytes, *, socket: str = "") -> bytes:
    """Return a credential by this process's user over `payload`; MungeError when munged will not.

    `socket` is munged's socket; empty takes libmunge's own default.
    """
    with _Context(socket, "encode a credential") as context:
        credential = ctypes.c_void_p()
        number = context.lib.munge_encode(
            ctypes.byref(credential), context.handle, payload, len(payload)
        )
        try:
            context.check(number)
            return ctypes.string_at(credential)
        finally:
            _libc().free(credential)


def decode(credential: bytes, *, socket: str = "") -> Decoded:
    """Return who said what; MungeError for a false, expired, rewound or replayed credential.

    Decoding is what marks a credential as used: a second decode of the same one is a replay.
    """
    with _Context(socket, "decode a credential") as context:
        payload = ctypes.c_void_p()
        length = ctypes.c_int()
        uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
        number = context.lib.munge_decode(
            credential,
            context.handle,
            ctypes.byref(payload),
            ctypes.byref(length),
            ctypes.byref(uid),
            ctypes.byref(gid),
        )
        try:
            context.check(number)
            text = ctypes.string_at(payload, length.value) if payload else b""
        finally:
            _libc().free(payload)
        return Decoded(text, uid.value, gid.value)
