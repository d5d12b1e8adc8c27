"""The lifecycle of certificates: issuance by the vault, by an issuer and by hand, and
what becomes of certificates in the end."""

import hashlib

from azure.keyvault.certificates import CertificatePolicy
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca import sign
from report import expect, operation, refused
from vault import VAULT_URL


def elliptic(issuer, subject):
    return CertificatePolicy(issuer, subject=subject, key_type="EC", key_curve_name="P-256")


async def lifecycle(vault, prefix):
    held, manual, own, issuer = prefix + "-held", prefix + "-manual", prefix + "-self", prefix + "-issuer"

    def pending(name):
        return vault.call("get_certificate_operation", name)

    def names(items):
        return [item.name for item in items]

    with operation("create with issuer Self"):
        policy = CertificatePolicy(
            "Self", subject="CN=self.example.com", san_dns_names=["self.example.com", "www.self.example.com"], validity_in_months=6
        )
        creation = await vault.begin_create(own, policy)
        certificate = await creation
        expect("name", certificate.name, own)
        expect("enabled", certificate.properties.enabled, True)
        expect("thumbprint", bytes(certificate.properties.x509_thumbprint), hashlib.sha1(certificate.cer).digest())
        leaf = x509.load_der_x509_certificate(bytes(certificate.cer))
        expect("subject", leaf.subject.rfc4514_string(), "CN=self.example.com")
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        expect("names", alternatives.get_values_for_type(x509.DNSName), policy.san_dns_names)
        done = await pending(own)
        expect("status", done.status, "completed")
        expect("target", done.target, f"{VAULT_URL}/certificates/{own}")

    with operation("read certificate, version and policy"):
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

    with operation("list certificates and versions"):
        expect("listed", own in names(await vault.list("list_properties_of_certificates")), True)
        versions = await vault.list("list_properties_of_certificate_versions", own)
        expect("versions", [v.version for v in versions], [latest.properties.version])

    with operation("delete the operation"):
        expect("status", (await vault.call("delete_certificate_operation", own)).status, "completed")
        await refused(404, "PendingCertificateNotFound", pending(own))
        await refused(404, "PendingCertificateNotFound", vault.call("delete_certificate_operation", own))

    with operation("create with issuer Unknown"):
        waiting = await (await vault.begin_create(manual, elliptic("Unknown", "CN=manual.example.com")))
        expect("status", waiting.status, "inProgress")
        shell = await vault.call("get_certificate", manual)
        expect("shell", (shell.properties.enabled, shell.cer), (False, None))
        expect("listed", manual in names(await vault.list("list_properties_of_certificates")), False)
        expect("listed", manual in names(await vault.list("list_properties_of_certificates", include_pending=True)), True)
        again = vault.begin_create(manual, elliptic("Unknown", "CN=manual.example.com"))
        await refused(409, "Forbidden", again)

    with operation("merge"):
        chain = sign(waiting.csr)
        merged = await vault.call("merge_certificate", manual, [c.public_bytes(Encoding.DER) for c in chain])
        expect("certificate", bytes(merged.cer), chain[0].public_bytes(Encoding.DER))
        expect("enabled", merged.properties.enabled, True)
        expect("status", (await pending(manual)).status, "completed")

    with operation("set, update, get and list an issuer"):
        await vault.call("create_issuer", issuer, "Test", account_id="account", password="secret", organization_id="issue")
        await vault.call("update_issuer", issuer, organization_id="hold")
        stored = await vault.call("get_issuer", issuer)
        expect("issuer", (stored.name, stored.provider, stored.organization_id), (issuer, "Test", "hold"))
        expect("credentials", (stored.account_id, stored.password), ("account", None))
        expect("listed", issuer in names(await vault.list("list_properties_of_issuers")), True)

    with operation("create at an issuer that holds"):
        first = await vault.begin_create(held, elliptic(issuer, "CN=held.example.com"))
        expect("status", (await pending(held)).status, "inProgress")
        csr = (await pending(held)).csr
        early = vault.call("merge_certificate", held, [c.public_bytes(Encoding.DER) for c in sign(csr)])
        await refused(403, "Forbidden", early)

    with operation("the issuer issues"):
        await vault.call("update_issuer", issuer, organization_id="issue")
        old = await first
        expect("issuer", old.policy.issuer_name, issuer)

    with operation("the old version is served while a new one is pending"):
        await vault.call("update_issuer", issuer, organization_id="hold")
        second = await vault.begin_create(held, elliptic(issuer, "CN=held.example.com"))
        expect("version", (await vault.call("get_certificate", held)).properties.version, old.properties.version)

    with operation("cancel at the issuer"):
        expect("wish", (await vault.call("cancel_certificate_operation", held)).cancellation_requested, True)
        expect("status", (await second).status, "cancelled")
        expect("version", (await vault.call("get_certificate", held)).properties.version, old.properties.version)
        await refused(403, "Forbidden", vault.call("cancel_certificate_operation", held))

    with operation("the issuer rejects"):
        await vault.call("update_issuer", issuer, organization_id="reject=The domain is not yours")
        failed = await (await vault.begin_create(held, elliptic(issuer, "CN=held.example.com")))
        expect("status", failed.status, "failed")
        expect("error", (failed.error.code, failed.error.message), ("Request rejected", "The domain is not yours"))

    with operation("merge what was obtained elsewhere"):
        # As in the client's own samples: the text of the certificate, in base64 already.
        text = "".join(sign(failed.csr)[0].public_bytes(Encoding.PEM).decode().splitlines()[1:-1])
        merged = await vault.call("merge_certificate", held, [text.encode()])
        versions = await vault.list("list_properties_of_certificate_versions", held)
        expect("versions", {v.version for v in versions}, {old.properties.version, merged.properties.version})

    with operation("cancel right after create"):
        creation = await vault.begin_create(prefix + "-cancelled", elliptic("Self", "CN=cancelled.example.com"))
        cancelling = await vault.call("cancel_certificate_operation", prefix + "-cancelled")
        expect("operation", (cancelling.status, cancelling.cancellation_requested), ("inProgress", True))
        expect("status", (await creation).status, "cancelled")

    with operation("delete a certificate"):
        deleted = await vault.delete(manual)
        expect("recovery", deleted.recovery_id, f"{VAULT_URL}/deletedcertificates/{manual}")
        await refused(404, "CertificateNotFound", vault.call("get_certificate", manual))
        expect("certificate", (await vault.call("get_deleted_certificate", manual)).cer, deleted.cer)
        expect("listed", manual in names(await vault.list("list_deleted_certificates")), True)

    with operation("create on a deleted name"):
        reuse = vault.begin_create(manual, elliptic("Self", "CN=manual.example.com"))
        await refused(409, "Conflict", reuse)

    with operation("recover"):
        expect("version", (await vault.recover(manual)).properties.version, deleted.properties.version)
        expect("certificate", (await vault.call("get_certificate", manual)).cer, deleted.cer)

    with operation("purge"):
        for name in own, manual, held, prefix + "-cancelled":
            await vault.delete(name)
            await vault.call("purge_deleted_certificate", name)
            await refused(404, "CertificateNotFound", vault.call("get_deleted_certificate", name))

    with operation("delete the issuer"):
        expect("issuer", (await vault.call("delete_issuer", issuer)).name, issuer)
        await refused(404, "CertificateIssuerNotFound", vault.call("get_issuer", issuer))
