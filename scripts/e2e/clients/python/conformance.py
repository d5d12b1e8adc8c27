"""The whole of Key Vault's certificates API with the official Python clients.

    python conformance.py sync|async PREFIX PART...

Names begin with PREFIX; the parts run at the same time. CERTWRIGHT_E2E_CA is the URL
of a CA: it takes a CSR in DER and answers a chain in PEM. CERTWRIGHT_E2E_MATERIAL is
a folder with certificates and keys that were made elsewhere.

A line for each operation, with tabs between: its name; passed, failed or not
offered; why. And one for each package: version, its name, its version.

Nothing else in here knows of Certwright.
"""

import asyncio
import sys

from backups import backups
from changes import changes, contacts
from creation import creation
from imports import imports
from lifecycle import lifecycle
from lists import lists
from readside import readside
from report import version
from vault import Async, Sync

PARTS = {part.__name__: part for part in (lifecycle, creation, imports, changes, contacts, backups, lists, readside)}


async def main(flavour, prefix, *parts):
    for package in "certificates", "secrets", "keys":
        version(f"azure-keyvault-{package}")
    vault = {"sync": Sync, "async": Async}[flavour]()
    try:
        await asyncio.gather(*(PARTS[part](vault, prefix) for part in parts))
    finally:
        await vault.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
