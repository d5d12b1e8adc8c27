"""The secret and the key behind a certificate."""

import base64
import hashlib

from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.keys.crypto import SignatureAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs12

from ca import material
from report import expect, operation, refused
from vault import VAULT_URL


def der(certificates):
    return [c.public_bytes(Encoding.DER) for c in certificates]


async def readside(vault, prefix):
    rsa, elliptic, off, fixed = (f"{prefix}-{kind}" for kind in ("rsa", "ec", "unread", "fixed"))
    chain = [material("issuing.der"), material("root.der")]

    with operation("get the secret: PKCS #12"):
        imported = await vault.call("import_certificate", rsa, material("password.pfx"), password="a password")
        version = imported.properties.version
        secret = await vault.secrets.call("get_secret", rsa)
        expect("id", secret.id, f"{VAULT_URL}/secrets/{rsa}/{version}")
        expect("key", secret.properties.key_id, f"{VAULT_URL}/keys/{rsa}/{version}")
        expect("managed", secret.properties.managed, True)
        expect("content type", secret.properties.content_type, "application/x-pkcs12")
        key, leaf, more = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), b"")
        expect("certificate", der([leaf]), [material("rsa.der")])
        expect("chain", der(more), chain[::-1])  # the root first, as in Key Vault's files
        expect("key", key.public_key(), leaf.public_key())
        same = await vault.secrets.call("get_secret", rsa, version)
        expect("the same every time", (same.id, same.value), (secret.id, secret.value))

    with operation("get the secret: PEM"):
        policy = CertificatePolicy(content_type="application/x-pem-file")
        imported = await vault.call("import_certificate", elliptic, material("chain.pem"), policy=policy)
        secret = await vault.secrets.call("get_secret", elliptic)
        expect("content type", secret.properties.content_type, "application/x-pem-file")
        text = secret.value.encode()
        certificates = x509.load_pem_x509_certificates(text)
        expect("certificates", der(certificates), [material("ec.der"), *chain])
        expect("key", load_pem_private_key(text, None).public_key(), certificates[0].public_key())

    with operation("get the secret of a key that is not exportable"):
        policy = CertificatePolicy("Self", subject="CN=fixed.example.com", key_type="RSA", exportable=False)
        created = await (await vault.begin_create(fixed, policy))
        secret = await vault.secrets.call("get_secret", fixed)
        key, leaf, more = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), b"")
        held = ([leaf] if leaf else []) + more
        expect("key", key, None)
        expect("certificates", der(held), [bytes(created.cer)])

    with operation("get the secret of a disabled certificate"):
        await vault.call("import_certificate", off, material("rsa.pfx"), enabled=False)
        await refused(403, "Forbidden", vault.secrets.call("get_secret", off), saying="disabled")

    with operation("list secrets"):
        listed = {s.name: s for s in await vault.secrets.list("list_properties_of_secrets")}
        expect("secret", (listed[rsa].managed, listed[rsa].content_type), (True, "application/x-pkcs12"))
        versions = await vault.secrets.list("list_properties_of_secret_versions", rsa)
        expect("versions", [v.version for v in versions], [version])

    with operation("get the key"):
        key = await vault.keys.call("get_key", rsa)
        expect("id", key.id, f"{VAULT_URL}/keys/{rsa}/{version}")
        expect("managed", key.properties.managed, True)
        numbers = x509.load_der_x509_certificate(material("rsa.der")).public_key().public_numbers()
        expect("modulus", int.from_bytes(key.key.n, "big"), numbers.n)
        expect("exponent", int.from_bytes(key.key.e, "big"), numbers.e)
        expect("may sign", {"sign", "verify"} <= set(key.key_operations), True)
        curve = await vault.keys.call("get_key", elliptic)
        numbers = x509.load_der_x509_certificate(material("ec.der")).public_key().public_numbers()
        expect("curve", curve.key.crv, "P-256")
        expect("point", (int.from_bytes(curve.key.x, "big"), int.from_bytes(curve.key.y, "big")), (numbers.x, numbers.y))

    with operation("list keys"):
        listed = {k.name: k for k in await vault.keys.list("list_properties_of_keys")}
        expect("managed", listed[rsa].managed, True)
        versions = await vault.keys.list("list_properties_of_key_versions", rsa)
        expect("versions", [v.version for v in versions], [version])

    with operation("sign and verify with RSA"):
        digest = hashlib.sha256(b"text").digest()
        cryptography = vault.cryptography(await vault.keys.call("get_key", fixed))
        public = x509.load_der_x509_certificate(bytes(created.cer)).public_key()
        for algorithm, scheme in (
            (SignatureAlgorithm.rs256, padding.PKCS1v15()),
            (SignatureAlgorithm.ps256, padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
        ):
            signed = await cryptography.call("sign", algorithm, digest)
            public.verify(signed.signature, digest, scheme, utils.Prehashed(hashes.SHA256()))
            verified = await cryptography.call("verify", algorithm, digest, signed.signature)
            expect("valid", verified.is_valid, True)
        await cryptography.call("close")

    with operation("sign and verify with EC"):
        cryptography = vault.cryptography(await vault.keys.call("get_key", elliptic))
        signed = await cryptography.call("sign", SignatureAlgorithm.es256, digest)
        r, s = (int.from_bytes(signed.signature[i : i + 32], "big") for i in (0, 32))
        public = x509.load_der_x509_certificate(material("ec.der")).public_key()
        public.verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        verified = await cryptography.call("verify", SignatureAlgorithm.es256, digest, signed.signature)
        expect("valid", verified.is_valid, True)
        await cryptography.call("close")
