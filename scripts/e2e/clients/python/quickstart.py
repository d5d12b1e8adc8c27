"""What somebody writes who follows Key Vault's Python quickstart: ask for a name,
create a certificate with the default policy, read it, delete it."""

import os

from azure.identity import DefaultAzureCredential
from azure.keyvault.certificates import CertificateClient, CertificatePolicy

vault_url = f"https://{os.environ['KEY_VAULT_NAME']}.vault.azure.net"
client = CertificateClient(vault_url=vault_url, credential=DefaultAzureCredential())

name = input("name: ")
print(f"creating {name}")
created = client.begin_create_certificate(certificate_name=name, policy=CertificatePolicy.get_default()).result()
print(f"reading {created.name}")
found = client.get_certificate(name)
print(f"deleting {found.name}")
deleted = client.begin_delete_certificate(name).result()
print(f"deleted {deleted.name}")
