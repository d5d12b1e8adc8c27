"""What comes from a CA outside of the vault."""

import os
import pathlib
import urllib.request

from cryptography import x509

LIMIT = 60  # seconds, for one answer of the CA


def sign(csr):
    """Brings a CSR to the CA and returns its certificates."""
    request = urllib.request.Request(os.environ["CERTWRIGHT_E2E_CA"], data=bytes(csr), method="POST")
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        return x509.load_pem_x509_certificates(answer.read())


def material(name):
    """A file with a certificate or a key that was made elsewhere."""
    return pathlib.Path(os.environ["CERTWRIGHT_E2E_MATERIAL"], name).read_bytes()
