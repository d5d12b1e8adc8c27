"""Create, read and delete a certificate with the official Key Vault client.

Nothing in here knows of Certwright: the vault is chosen by KEY_VAULT_NAME, and
the local cloud's settings (.local/env) lead its name to this machine.
"""

import os
import sys
import uuid

from azure.identity import DefaultAzureCredential
from azure.keyvault.certificates import CertificateClient, CertificatePolicy


def main() -> None:
    vault_url = f"https://{os.environ.get('KEY_VAULT_NAME', 'myvault')}.vault.azure.net"
    name = sys.argv[1] if len(sys.argv) > 1 else f"quickstart-{uuid.uuid4().hex[:8]}"

    with DefaultAzureCredential() as credential, CertificateClient(vault_url, credential) as client:
        print(f"creating {name} in {vault_url}")
        client.begin_create_certificate(name, CertificatePolicy.get_default()).result()

        certificate = client.get_certificate(name)
        print(f"got {certificate.id}, SHA-1 thumbprint {certificate.properties.x509_thumbprint.hex()}")

        deleted = client.begin_delete_certificate(name).result()
        print(f"deleted, recoverable until {deleted.scheduled_purge_date:%Y-%m-%d}")


if __name__ == "__main__":
    main()
