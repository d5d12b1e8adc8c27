"""Certificates that the vault has issued: their lifecycle, and what may be asked for."""

import base64
import time

from cli import VAULT, az, certificate, expect, file, finish, not_offered, operation, refused, sign, start
from cryptography import x509

LIMIT = 60  # seconds, for a state that is waited for


def policy(issuer, subject, **more):
    key = {"keyType": "EC", "curve": "P-256"}
    return {"issuerParameters": {"name": issuer}, "keyProperties": key, "x509CertificateProperties": {"subject": subject, **more}}


def create(name, wanted, *more):
    with file(wanted) as f:
        return certificate("create", "--name", name, "--policy", "@" + f, *more)


def merge(name, pem):
    with file(pem) as f:
        return certificate("pending", "merge", "--name", name, "--file", f)


def pending(name):
    return certificate("pending", "show", "--name", name)


def names(items):
    return [item["name"] for item in items]


def lifecycle(prefix):
    own, manual, held, issuer = (f"{prefix}-{what}" for what in ("self", "manual", "held", "issuer"))
    url = f"https://{VAULT}.vault.azure.net"

    def script(text):
        certificate("issuer", "update", "--issuer-name", issuer, "--organization-id", text)

    def begin():
        """Starts a creation at the issuer, and returns when it is pending."""
        with file(policy(issuer, "CN=held.example.com")) as f:
            before = None
            try:
                before = pending(held)["requestId"]
            except Exception:
                pass  # the first one
            process = start("keyvault", "certificate", "create", "--vault-name", VAULT, "--name", held, "--policy", "@" + f)
            deadline = time.monotonic() + LIMIT
            while time.monotonic() < deadline:
                try:
                    now = pending(held)
                    if now["requestId"] != before:
                        return process, now
                except Exception:
                    pass  # not yet there
            process.kill()
            return process, finish(process)

    with operation("create with issuer Self"):
        wanted = policy("Self", "CN=self.example.com", subjectAlternativeNames={"dnsNames": ["self.example.com"]})
        done = create(own, wanted, "--validity", "6")
        expect("operation", (done["status"], done["target"]), ("completed", f"{url}/certificates/{own}"))

    with operation("read certificate, version and policy"):
        latest = certificate("show", "--name", own)
        version = latest["id"].rsplit("/", 1)[1]
        leaf = x509.load_der_x509_certificate(base64.b64decode(latest["cer"]))
        expect("subject", leaf.subject.rfc4514_string(), "CN=self.example.com")
        found = certificate("show", "--name", own, "--version", version)
        expect("certificate", found["cer"], latest["cer"])
        by_id = az("keyvault", "certificate", "show", "--id", latest["id"])
        expect("certificate", by_id["cer"], latest["cer"])
        expect("links", (latest["kid"], latest["sid"]), (f"{url}/keys/{own}/{version}", f"{url}/secrets/{own}/{version}"))
        expect("validity", latest["policy"]["x509CertificateProperties"]["validityInMonths"], 6)

    with operation("list certificates and versions"):
        expect("listed", own in names(certificate("list")), True)
        versions = certificate("list-versions", "--name", own)
        expect("versions", [v["id"] for v in versions], [latest["id"]])

    with operation("delete the operation"):
        expect("status", certificate("pending", "delete", "--name", own)["status"], "completed")
        refused("(PendingCertificateNotFound)", pending, own)

    with operation("create with issuer Unknown"):
        waiting = create(manual, policy("Unknown", "CN=manual.example.com"))
        expect("status", waiting["status"], "inProgress")
        expect("enabled", certificate("show", "--name", manual)["attributes"]["enabled"], False)
        expect("listed", manual in names(certificate("list")), False)
        expect("listed", manual in names(certificate("list", "--include-pending", "true")), True)
        refused("(Forbidden)", create, manual, policy("Unknown", "CN=manual.example.com"))

    with operation("merge"):
        merged = merge(manual, sign(base64.b64decode(waiting["csr"])))
        expect("enabled", merged["attributes"]["enabled"], True)
        expect("status", pending(manual)["status"], "completed")

    with operation("set, update, get and list an issuer"):
        credentials = "--account-id", "account", "--password", "secret"
        certificate("issuer", "create", "--issuer-name", issuer, "--provider-name", "Test", *credentials)
        script("hold")
        stored = certificate("issuer", "show", "--issuer-name", issuer)
        expect("provider", stored["provider"], "Test")
        expect("organization", stored["organizationDetails"]["id"], "hold")
        expect("credentials", (stored["credentials"]["accountId"], stored["credentials"]["password"]), ("account", None))
        expect("listed", any(i["id"].endswith("/" + issuer) for i in certificate("issuer", "list")), True)

    with operation("create at an issuer that holds"):
        first, now = begin()
        expect("status", now["status"], "inProgress")
        refused("(Forbidden)", merge, held, sign(base64.b64decode(now["csr"])))

    with operation("the issuer issues"):
        script("issue")
        expect("status", finish(first)["status"], "completed")
        old = certificate("show", "--name", held)
        expect("issuer", old["policy"]["issuerParameters"]["name"], issuer)

    with operation("the old version is served while a new one is pending"):
        script("hold")
        second, waiting = begin()
        expect("version", certificate("show", "--name", held)["id"], old["id"])

    not_offered("cancel at the issuer", "the CLI does not cancel operations")

    script("reject=The domain is not yours")
    not_offered("the issuer rejects", "the CLI's azure-keyvault-certificates cannot read an operation that failed")

    with operation("merge what was obtained elsewhere"):
        refused("", finish, second)  # the operation ended, which this CLI cannot show
        merge(held, sign(base64.b64decode(waiting["csr"])))
        expect("versions", len(certificate("list-versions", "--name", held)), 2)

    not_offered("cancel right after create", "the CLI does not cancel operations")

    with operation("delete a certificate"):
        deleted = certificate("delete", "--name", manual)
        expect("recovery", deleted["recoveryId"], f"{url}/deletedcertificates/{manual}")
        refused("(CertificateNotFound)", certificate, "show", "--name", manual)
        expect("certificate", certificate("show-deleted", "--name", manual)["cer"], deleted["cer"])
        expect("listed", manual in names(certificate("list-deleted")), True)

    with operation("create on a deleted name"):
        refused("(Conflict)", create, manual, policy("Self", "CN=manual.example.com"))

    with operation("recover"):
        certificate("recover", "--name", manual)
        expect("certificate", certificate("show", "--name", manual)["cer"], deleted["cer"])

    with operation("purge"):
        for name in own, manual, held:
            certificate("delete", "--name", name)
            certificate("purge", "--name", name)
            refused("(CertificateNotFound)", certificate, "show-deleted", "--name", name)

    with operation("delete the issuer"):
        certificate("issuer", "delete", "--issuer-name", issuer)
        refused("(CertificateIssuerNotFound)", certificate, "issuer", "show", "--issuer-name", issuer)


def creation(prefix):
    def issued(name, wanted, *more):
        create(name, wanted, *more)
        found = certificate("show", "--name", name)
        return found, x509.load_der_x509_certificate(base64.b64decode(found["cer"]))

    with operation("create with the client's default policy"):
        found, leaf = issued(f"{prefix}-default", az("keyvault", "certificate", "get-default-policy"))
        expect("subject", leaf.subject.rfc4514_string(), "CN=CLIGetDefaultPolicy")
        expect("key", (found["policy"]["keyProperties"]["keyType"], leaf.public_key().key_size), ("RSA", 2048))

    with operation("create disabled, with tags"):
        found, _ = issued(f"{prefix}-disabled", policy("Self", "CN=x"), "--disabled", "true", "--tags", "colour=blue")
        expect("attributes", (found["attributes"]["enabled"], found["tags"]), (False, {"colour": "blue"}))

    with operation("create with every kind of alternative name"):
        wanted = {"dnsNames": ["a.example.com"], "emails": ["a@example.com"], "upns": ["b@example.com"]}
        found, leaf = issued(f"{prefix}-names", policy("Self", "CN=x", subjectAlternativeNames=wanted))
        given = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        expect("DNS names", given.get_values_for_type(x509.DNSName), ["a.example.com"])
        expect("emails", given.get_values_for_type(x509.RFC822Name), ["a@example.com"])
        expect("names", len(list(given)), 3)

    with operation("create with keys of every kind"):
        for kind, size in ("P-256", 256), ("P-384", 384), ("P-521", 521):
            wanted = policy("Self", "CN=x")
            wanted["keyProperties"]["curve"] = kind
            expect(kind, issued(f"{prefix}-key-{kind}", wanted)[1].public_key().key_size, size)
        wanted = policy("Self", "CN=x") | {"keyProperties": {"keyType": "RSA", "keySize": 3072}}
        expect("RSA", issued(f"{prefix}-key-rsa", wanted)[1].public_key().key_size, 3072)

    with operation("create with usages, validity and lifetime actions"):
        wanted = policy("Self", "CN=x", ekus=["1.3.6.1.5.5.7.3.3"], keyUsage=["digitalSignature"])
        actions = [{"action": {"actionType": "EmailContacts"}, "trigger": {"daysBeforeExpiry": 20}}]
        found, leaf = issued(f"{prefix}-usages", wanted | {"lifetimeActions": actions}, "--validity", "3")
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        expect("usages", [u.dotted_string for u in usages], ["1.3.6.1.5.5.7.3.3"])
        days = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
        expect("validity", 89 <= days <= 93, True)
        [action] = found["policy"]["lifetimeActions"]
        expect("action", (action["action"], action["trigger"]["daysBeforeExpiry"]), ({"actionType": "EmailContacts"}, 20))

    with operation("a bad name or policy is refused"):
        refused("(BadParameter)", create, "a_b", policy("Self", "CN=x"))
        refused("X.500", create, f"{prefix}-bad", policy("Self", "no name"))
