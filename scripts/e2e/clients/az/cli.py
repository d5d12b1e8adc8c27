"""The Azure CLI as a program is run by people: by its command line."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

VAULT = "myvault"
LIMIT = 180  # seconds, for one command


class Refused(Exception):
    """What a command said that did not succeed."""


def az(*arguments):
    """Runs a command and returns what it prints as JSON."""
    return finish(start(*arguments))


def keyvault(*arguments):
    return az("keyvault", *arguments, "--vault-name", VAULT)


def certificate(*arguments):
    return keyvault("certificate", *arguments)


def start(*arguments):
    """Starts a command; a command that creates waits until that is done."""
    command = [sys.executable, "-m", "azure.cli", *arguments, "--output", "json", "--only-show-errors"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    try:
        output, message = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        raise Refused(message.strip())
    return json.loads(output) if output.strip() else None


def refused(saying, command, *arguments):
    """The command must be refused, and say this."""
    try:
        got = command(*arguments)
    except Refused as e:
        if saying.lower() not in str(e).lower():
            raise AssertionError(f"got {e}, want it to say {saying!r}") from e
        return
    raise AssertionError(f"got {got!r}, want it refused: {saying}")


def expect(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


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


def material(name):
    """The path of a file with a certificate or a key that was made elsewhere."""
    return str(pathlib.Path(os.environ["CERTWRIGHT_E2E_MATERIAL"], name))


def sign(csr):
    """Brings a CSR to the CA and returns the chain in PEM."""
    request = urllib.request.Request(os.environ["CERTWRIGHT_E2E_CA"], data=csr, method="POST")
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        return answer.read()


@contextlib.contextmanager
def file(content):
    """A file with this content, for the time of the block."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(content if isinstance(content, bytes) else json.dumps(content).encode())
        f.flush()
        yield f.name


@contextlib.contextmanager
def place():
    """A path where a command may make a file."""
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder, "file")


def login():
    """Logs in with the managed identity, at a cloud whose resource manager is a
    stand-in that knows of no subscription."""
    manager = os.environ["CERTWRIGHT_E2E_RESOURCE_MANAGER"]
    az(
        "cloud", "register", "--name", "Local", "--skip-endpoint-discovery",
        "--endpoint-resource-manager", manager, "--endpoint-active-directory", manager,
        "--endpoint-active-directory-resource-id", manager + "/", "--suffix-keyvault-dns", ".vault.azure.net",
    )  # fmt: skip
    az("cloud", "set", "--name", "Local")
    az("login", "--identity", "--allow-no-subscriptions")
