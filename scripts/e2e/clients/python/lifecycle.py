"""The lifecycle of certificates with the official Python client.

    python lifecycle.py sync|async PREFIX

Names begin with PREFIX. CERTWRIGHT_E2E_CA is the URL of a CA: it takes a CSR in
DER and answers a chain in PEM. A line for each step; the first mismatch ends the
program with an error.

Nothing else in here knows of Certwright.
"""

import asyncio
import hashlib
import os
import sys
import urllib.request

import azure.identity
import azure.identity.aio
import azure.keyvault.certificates
import azure.keyvault.certificates.aio
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import CertificatePolicy
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

VAULT_URL = "https://myvault.vault.azure.net"
LIMIT = 60  # seconds, for one answer of the CA


class Sync:
    """The synchronous client; each call runs in a thread."""

    def __init__(self):
        self.credential = azure.identity.DefaultAzureCredential()
        self.client = azure.keyvault.certificates.CertificateClient(VAULT_URL, self.credential)

    async def call(self, method, *args, **kwargs):
        return await asyncio.to_thread(getattr(self.client, method), *args, **kwargs)

    async def list(self, method, *args, **kwargs):
        return await asyncio.to_thread(lambda: list(getattr(self.client, method)(*args, **kwargs)))

    async def begin_create(self, name, policy):
        """Starts an operation and returns what waits for its end."""
        poller = await self.call("begin_create_certificate", name, policy)
        return asyncio.to_thread(poller.result)

    async def delete(self, name):
        poller = await self.call("begin_delete_certificate", name)
        await asyncio.to_thread(poller.wait)
        return poller.result()

    async def recover(self, name):
        poller = await self.call("begin_recover_deleted_certificate", name)
        await asyncio.to_thread(poller.wait)
        return poller.result()

    async def close(self):
        self.client.close()
        self.credential.close()


class Async:
    """The asynchronous client."""

    def __init__(self):
        self.credential = azure.identity.aio.DefaultAzureCredential()
        self.client = azure.keyvault.certificates.aio.CertificateClient(VAULT_URL, self.credential)

    async def call(self, method, *args, **kwargs):
        return await getattr(self.client, method)(*args, **kwargs)

    async def list(self, method, *args, **kwargs):
        return [item async for item in getattr(self.client, method)(*args, **kwargs)]

    async def begin_create(self, name, policy):
        before = await self.request_id(name)
        creation = asyncio.create_task(self.client.create_certificate(name, policy))
        while not creation.done() and await self.request_id(name) == before:
            await asyncio.sleep(0.05)
        if creation.done():
            creation.result()  # raises what went wrong
        return creation

    async def request_id(self, name):
        try:
            return (await self.client.get_certificate_operation(name)).request_id
        except ResourceNotFoundError:
            return None

    async def delete(self, name):
        return await self.client.delete_certificate(name)

    async def recover(self, name):
        return await self.client.recover_deleted_certificate(name)

    async def close(self):
        await self.client.close()
        await self.credential.close()


def expect(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


async def refused(error, status, code, doing):
    """The call must be refused with this exception, status and code."""
    try:
        got = await doing
    except error as e:
        expect("status", e.status_code, status)
        expect("code", e.error.code, code)
        return
    raise AssertionError(f"got {got!r}, want it refused with {status} {code}")




def sign(csr):
    """Brings a CSR to the CA and returns its certificates."""
    request = urllib.request.Request(os.environ["CERTWRIGHT_E2E_CA"], data=bytes(csr), method="POST")
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        return x509.load_pem_x509_certificates(answer.read())


def elliptic(issuer, subject):
    return CertificatePolicy(issuer, subject=subject, key_type="EC", key_curve_name="P-256")


async def walk(vault, prefix):
    held, manual, own, issuer = prefix + "-held", prefix + "-manual", prefix + "-self", prefix + "-issuer"

    def operation(name):
        return vault.call("get_certificate_operation", name)

    def names(items):
        return [item.name for item in items]

    step("create with issuer Self")
    policy = CertificatePolicy(
        "Self", subject="CN=self.example.com", san_dns_names=["self.example.com", "www.self.example.com"], validity_in_months=6
    )
    creation = await vault.begin_create(own, policy)
    expect("status", (await operation(own)).status, "inProgress")
    certificate = await creation
    expect("name", certificate.name, own)
    expect("enabled", certificate.properties.enabled, True)
    expect("thumbprint", bytes(certificate.properties.x509_thumbprint), hashlib.sha1(certificate.cer).digest())
    leaf = x509.load_der_x509_certificate(bytes(certificate.cer))
    expect("subject", leaf.subject.rfc4514_string(), "CN=self.example.com")
    alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    expect("names", alternatives.get_values_for_type(x509.DNSName), policy.san_dns_names)
    done = await operation(own)
    expect("status", done.status, "completed")
    expect("target", done.target, f"{VAULT_URL}/certificates/{own}")

    step("read certificate, version and policy")
    latest = await vault.call("get_certificate", own)
    expect("version", latest.properties.version, certificate.properties.version)
    version = await vault.call("get_certificate_version", own, latest.properties.version)
    expect("certificate", version.cer, latest.cer)
    expect("key", version.key_id, f"{VAULT_URL}/keys/{own}/{latest.properties.version}")
    expect("secret", version.secret_id, f"{VAULT_URL}/secrets/{own}/{latest.properties.version}")
    stored = await vault.call("get_certificate_policy", own)
    expect("issuer", stored.issuer_name, "Self")
    expect("validity", stored.validity_in_months, 6)
    expect("names", stored.san_dns_names, policy.san_dns_names)
    expect("key", (stored.key_type, stored.key_size, stored.exportable), ("RSA", 2048, True))

    step("list certificates and versions")
    expect("listed", own in names(await vault.list("list_properties_of_certificates")), True)
    versions = await vault.list("list_properties_of_certificate_versions", own)
    expect("versions", [v.version for v in versions], [latest.properties.version])

    step("delete the operation")
    expect("status", (await vault.call("delete_certificate_operation", own)).status, "completed")
    await refused(ResourceNotFoundError, 404, "PendingCertificateNotFound", operation(own))
    await refused(
        ResourceNotFoundError, 404, "PendingCertificateNotFound", vault.call("delete_certificate_operation", own)
    )

    step("create with issuer Unknown")
    waiting = await (await vault.begin_create(manual, elliptic("Unknown", "CN=manual.example.com")))
    expect("status", waiting.status, "inProgress")
    shell = await vault.call("get_certificate", manual)
    expect("shell", (shell.properties.enabled, shell.cer), (False, None))
    expect("listed", manual in names(await vault.list("list_properties_of_certificates")), False)
    expect("listed", manual in names(await vault.list("list_properties_of_certificates", include_pending=True)), True)
    again = vault.begin_create(manual, elliptic("Unknown", "CN=manual.example.com"))
    await refused(ResourceExistsError, 409, "Forbidden", again)

    step("merge")
    chain = sign(waiting.csr)
    merged = await vault.call("merge_certificate", manual, [c.public_bytes(Encoding.DER) for c in chain])
    expect("certificate", bytes(merged.cer), chain[0].public_bytes(Encoding.DER))
    expect("enabled", merged.properties.enabled, True)
    expect("status", (await operation(manual)).status, "completed")

    step("set, update, get and list an issuer")
    await vault.call("create_issuer", issuer, "Test", account_id="account", password="secret", organization_id="issue")
    await vault.call("update_issuer", issuer, organization_id="hold")
    stored = await vault.call("get_issuer", issuer)
    expect("issuer", (stored.name, stored.provider, stored.organization_id), (issuer, "Test", "hold"))
    expect("credentials", (stored.account_id, stored.password), ("account", None))
    expect("listed", issuer in names(await vault.list("list_properties_of_issuers")), True)

    step("create at an issuer that holds")
    first = await vault.begin_create(held, elliptic(issuer, "CN=held.example.com"))
    expect("status", (await operation(held)).status, "inProgress")
    csr = (await operation(held)).csr
    early = vault.call("merge_certificate", held, [c.public_bytes(Encoding.DER) for c in sign(csr)])
    await refused(HttpResponseError, 403, "Forbidden", early)

    step("the issuer issues")
    await vault.call("update_issuer", issuer, organization_id="issue")
    old = await first
    expect("issuer", old.policy.issuer_name, issuer)

    step("the old version is served while a new one is pending")
    await vault.call("update_issuer", issuer, organization_id="hold")
    second = await vault.begin_create(held, elliptic(issuer, "CN=held.example.com"))
    expect("version", (await vault.call("get_certificate", held)).properties.version, old.properties.version)

    step("cancel at the issuer")
    expect("wish", (await vault.call("cancel_certificate_operation", held)).cancellation_requested, True)
    expect("status", (await second).status, "cancelled")
    expect("version", (await vault.call("get_certificate", held)).properties.version, old.properties.version)
    await refused(HttpResponseError, 403, "Forbidden", vault.call("cancel_certificate_operation", held))

    step("the issuer rejects")
    await vault.call("update_issuer", issuer, organization_id="reject=The domain is not yours")
    failed = await (await vault.begin_create(held, elliptic(issuer, "CN=held.example.com")))
    expect("status", failed.status, "failed")
    expect("error", (failed.error.code, failed.error.message), ("Request rejected", "The domain is not yours"))

    step("merge what was obtained elsewhere")
    # As in the client's own samples: the text of the certificate, in base64 already.
    text = "".join(sign(failed.csr)[0].public_bytes(Encoding.PEM).decode().splitlines()[1:-1])
    merged = await vault.call("merge_certificate", held, [text.encode()])
    versions = await vault.list("list_properties_of_certificate_versions", held)
    expect("versions", {v.version for v in versions}, {old.properties.version, merged.properties.version})

    step("cancel right after create")
    creation = await vault.begin_create(prefix + "-cancelled", elliptic("Self", "CN=cancelled.example.com"))
    cancelling = await vault.call("cancel_certificate_operation", prefix + "-cancelled")
    expect("operation", (cancelling.status, cancelling.cancellation_requested), ("inProgress", True))
    expect("status", (await creation).status, "cancelled")

    step("delete a certificate")
    deleted = await vault.delete(manual)
    expect("recovery", deleted.recovery_id, f"{VAULT_URL}/deletedcertificates/{manual}")
    await refused(ResourceNotFoundError, 404, "CertificateNotFound", vault.call("get_certificate", manual))
    expect("certificate", (await vault.call("get_deleted_certificate", manual)).cer, deleted.cer)
    expect("listed", manual in names(await vault.list("list_deleted_certificates")), True)

    step("create on a deleted name")
    reuse = vault.begin_create(manual, elliptic("Self", "CN=manual.example.com"))
    await refused(ResourceExistsError, 409, "Conflict", reuse)

    step("recover")
    expect("version", (await vault.recover(manual)).properties.version, deleted.properties.version)
    expect("certificate", (await vault.call("get_certificate", manual)).cer, deleted.cer)

    step("purge")
    for name in own, manual, held, prefix + "-cancelled":
        await vault.delete(name)
        await vault.call("purge_deleted_certificate", name)
        await refused(ResourceNotFoundError, 404, "CertificateNotFound", vault.call("get_deleted_certificate", name))

    step("delete the issuer")
    expect("issuer", (await vault.call("delete_issuer", issuer)).name, issuer)
    await refused(ResourceNotFoundError, 404, "CertificateIssuerNotFound", vault.call("get_issuer", issuer))


def step(what):
    print(what, flush=True)


async def main(flavour, prefix):
    vault = {"sync": Sync, "async": Async}[flavour]()
    try:
        await walk(vault, prefix)
    finally:
        await vault.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
