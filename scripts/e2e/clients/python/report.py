"""What a conformance program prints: a line for each operation, and what decides
which it is."""

import contextlib
import importlib.metadata

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

EXCEPTIONS = {404: ResourceNotFoundError, 409: ResourceExistsError}


@contextlib.contextmanager
def operation(name):
    """An operation is what is in the block. Whatever becomes of it, the program goes
    on: what needs its result fails by itself."""
    try:
        yield
    except Exception as e:
        print(name, "failed", " ".join(f"{type(e).__name__}: {e}".split()), sep="\t", flush=True)
    else:
        print(name, "passed", "", sep="\t", flush=True)


def not_offered(name, why):
    print(name, "not offered", why, sep="\t", flush=True)


def version(package):
    print("version", package, importlib.metadata.version(package), sep="\t", flush=True)


def expect(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


async def refused(status, code, doing, saying=""):
    """The call must be refused with this status and code, the client's exception for
    that status, and a message that has this in it, in any case."""
    try:
        got = await doing
    except HttpResponseError as e:
        expect("status", e.status_code, status)
        expect("exception", type(e), EXCEPTIONS.get(status, HttpResponseError))
        expect("code", e.error.code, code)
        expect(f"{e.error.message!r} says {saying!r}", saying.lower() in e.error.message.lower(), True)
        return
    raise AssertionError(f"got {got!r}, want it refused with {status} {code}")
