"""The whole of Key Vault's certificates API with the Azure CLI.

    python conformance.py PREFIX PART...

Names begin with PREFIX. CERTWRIGHT_E2E_CA is the URL of a CA: it takes a CSR in DER
and answers a chain in PEM. CERTWRIGHT_E2E_MATERIAL is a folder with certificates and
keys that were made elsewhere. CERTWRIGHT_E2E_RESOURCE_MANAGER is the URL of an Azure
Resource Manager that knows of no subscription.

A line for each operation, with tabs between: its name; passed, failed or not
offered; why. And one for each package: version, its name, its version.

Nothing else in here knows of Certwright.
"""

import concurrent.futures
import importlib.metadata
import os
import sys
import tempfile

from cli import login
from issuance import creation, lifecycle
from objects import backups, changes, contacts, imports, lists, readside

PARTS = {part.__name__: part for part in (lifecycle, creation, imports, changes, contacts, lists, backups, readside)}
TOGETHER = 3  # parts at a time: each command is a process of its own


def main(prefix, *parts):
    print("version", "azure-cli", importlib.metadata.version("azure-cli"), sep="\t", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AZURE_CONFIG_DIR"] = folder
        os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"
        login()
        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            for done in [pool.submit(PARTS[part], prefix) for part in parts]:
                done.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
