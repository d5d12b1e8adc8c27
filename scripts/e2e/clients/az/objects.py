"""Certificates that are there: imported, changed, listed, kept, and what is behind
them."""

import base64
import hashlib
import pathlib

from cli import certificate, expect, file, keyvault, material, not_offered, operation, place, refused
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs12
from issuance import create, names, policy


def load(name, source, *more):
    return certificate("import", "--name", name, "--file", material(source), *more)


def read(source):
    return pathlib.Path(material(source)).read_bytes()


def is_material(found, source):
    expect("certificate", base64.b64decode(found["cer"]), read(source))


def version(found):
    return found["id"].rsplit("/", 1)[1]


def imports(prefix):
    with operation("import PKCS #12"):
        imported = load(f"{prefix}-pfx", "rsa.pfx")
        is_material(imported, "rsa.der")
        is_material(certificate("show", "--name", f"{prefix}-pfx"), "rsa.der")
        with place() as f:
            certificate("download", "--name", f"{prefix}-pfx", "--file", str(f), "--encoding", "DER")
            expect("download", f.read_bytes(), read("rsa.der"))

    with operation("import PKCS #12 with a password"):
        imported = load(f"{prefix}-password", "password.pfx", "--password", "a password", "--tags", "colour=blue")
        is_material(imported, "rsa.der")
        expect("tags", imported["tags"], {"colour": "blue"})

    not_offered("import PEM", "the CLI encodes all that it imports in base64")

    with operation("import PEM in base64"):
        imported = load(f"{prefix}-pem", "ec.pem")
        is_material(imported, "ec.der")
        expect("content type", imported["policy"]["secretProperties"]["contentType"], "application/x-pem-file")

    with operation("import a chain in any order"):
        is_material(load(f"{prefix}-chain", "chain.pem"), "ec.der")

    with operation("import disabled, keeping the order of the chain"):
        # The CLI does not ask for the order.
        imported = load(f"{prefix}-off", "rsa.pfx", "--disabled", "true")
        expect("enabled", imported["attributes"]["enabled"], False)
        is_material(certificate("show", "--name", f"{prefix}-off"), "rsa.der")

    with operation("import a new version"):
        imported = load(f"{prefix}-pfx", "ec.pem")
        expect("latest", certificate("show", "--name", f"{prefix}-pfx")["id"], imported["id"])
        expect("versions", len(certificate("list-versions", "--name", f"{prefix}-pfx")), 2)

    with operation("what cannot be imported is refused"):
        refused("PKCS#12", load, f"{prefix}-bad", "password.pfx", "--password", "another")
        refused("private key", load, f"{prefix}-bad", "keyless.pem")
        refused("(CertificateNotFound)", certificate, "show", "--name", f"{prefix}-bad")


def changes(prefix):
    name = f"{prefix}-changed"

    def update(*more):
        return certificate("set-attributes", "--name", name, *more)

    with operation("update the latest version"):
        before = load(name, "rsa.pfx", "--tags", "colour=blue")
        tagged = update("--tags", "colour=red")
        expect("changed", (tagged["id"], tagged["tags"]), (before["id"], {"colour": "red"}))
        expect("updated later", tagged["attributes"]["updated"] > before["attributes"]["updated"], True)
        off = update("--enabled", "false")
        expect("changed", (off["attributes"]["enabled"], off["tags"]), (False, {"colour": "red"}))
        expect("updated later", off["attributes"]["updated"] > tagged["attributes"]["updated"], True)

    with operation("update a version"):
        latest = load(name, "rsa.pfx")
        updated = update("--version", version(before), "--enabled", "true", "--tags", "")
        expect("changed", (updated["id"], updated["attributes"]["enabled"]), (before["id"], True))
        expect("tags", updated["tags"] or {}, {})
        expect("latest", certificate("show", "--name", name)["id"], latest["id"])
        refused("not found", update, "--version", "0" * 32, "--enabled", "true")

    with operation("update a policy"):
        with file({"keyProperties": {"keyType": "EC", "curve": "P-384", "exportable": True, "reuseKey": False}}) as f:
            update("--policy", "@" + f)
        stored = certificate("show", "--name", name)["policy"]
        key = stored["keyProperties"]  # the CLI does not show the curve
        expect("key", (key["keyType"], key["exportable"], key["reuseKey"]), ("EC", True, False))
        expect("subject", stored["x509CertificateProperties"]["subject"], "CN=imported.example.com")

    with operation("administrators of an issuer"):
        issuer = "--issuer-name", name
        certificate("issuer", "create", *issuer, "--provider-name", "Test", "--account-id", "account")
        for who in "first", "second":
            certificate("issuer", "admin", "add", *issuer, "--email", f"{who}@example.com", "--first-name", who)
        found = certificate("issuer", "admin", "list", *issuer)
        expect("administrators", [a["emailAddress"] for a in found], ["first@example.com", "second@example.com"])
        certificate("issuer", "admin", "delete", *issuer, "--email", "first@example.com")
        found = certificate("issuer", "admin", "list", *issuer)
        expect("administrators", [(a["emailAddress"], a["firstName"]) for a in found], [("second@example.com", "second")])
        certificate("issuer", "update", *issuer, "--enabled", "false")
        stored = certificate("issuer", "show", *issuer)
        expect("enabled", (stored["attributes"]["enabled"], stored["credentials"]["accountId"]), (False, "account"))
        certificate("issuer", "delete", *issuer)


def contacts(prefix):
    """A vault has one set of contacts: no other client may change it meanwhile."""
    with operation("set, get and delete contacts"):
        certificate("contact", "add", "--email", "one@example.com", "--name", "One", "--phone", "1")
        certificate("contact", "add", "--email", "two@example.com")
        found = certificate("contact", "list")
        expect("contacts", [c["emailAddress"] for c in found["contactList"]], ["one@example.com", "two@example.com"])
        certificate("contact", "delete", "--email", "one@example.com")
        certificate("contact", "delete", "--email", "two@example.com")
        refused("(ContactsNotFound)", certificate, "contact", "delete", "--email", "two@example.com")


def lists(prefix):
    wanted = [f"{prefix}-listed-{i}" for i in range(3)]

    def own(items):
        return [name for name in names(items) if name in wanted]

    with operation("page through certificates"):
        for name in wanted:
            load(name, "rsa.pfx")
        expect("names", own(certificate("list")), wanted)
        expect("as many as wanted", len(certificate("list", "--maxresults", "2")), 2)

    with operation("page through versions"):
        load(wanted[0], "rsa.pfx")
        load(wanted[0], "rsa.pfx")
        expect("versions", len(certificate("list-versions", "--name", wanted[0])), 3)
        expect("as many as wanted", len(certificate("list-versions", "--name", wanted[0], "--maxresults", "2")), 2)

    with operation("page through deleted certificates"):
        for name in wanted:
            certificate("delete", "--name", name)
        expect("names", own(certificate("list-deleted", "--include-pending", "true")), wanted)

    with operation("what is not there is not found"):
        nothing = "--name", f"{prefix}-nothing"
        for command in ("show",), ("list-versions",), ("set-attributes",), ("delete",), ("show-deleted",), ("purge",):
            if command != ("list-versions",):
                refused("(CertificateNotFound)", certificate, *command, *nothing)
        refused("(CertificateNotFound)", certificate, "recover", *nothing)
        with place() as f:
            refused("(CertificateNotFound)", certificate, "backup", *nothing, "--file", str(f))
        refused("(PendingCertificateNotFound)", certificate, "pending", "show", *nothing)
        refused("(PendingCertificateNotFound)", certificate, "pending", "delete", *nothing)
        issuer = "--issuer-name", f"{prefix}-nothing"
        for command in "show", "update", "delete":
            refused("(CertificateIssuerNotFound)", certificate, "issuer", command, *issuer)


def backups(prefix):
    name = f"{prefix}-kept"
    with place() as kept:

        def restore(source):
            return certificate("restore", "--file", str(source))

        with operation("back up and restore"):
            load(name, "rsa.pfx", "--tags", "colour=blue")
            before = load(name, "ec.pem")
            certificate("backup", "--name", name, "--file", str(kept))
            certificate("delete", "--name", name)
            certificate("purge", "--name", name)
            restored = restore(kept)
            expect("id", restored["id"], before["id"])
            expect("updated", restored["attributes"]["updated"], before["attributes"]["updated"])
            is_material(certificate("show", "--name", name), "ec.der")
            expect("versions", len(certificate("list-versions", "--name", name)), 2)

        with operation("restore over a certificate is refused"):
            refused("There was a conflict restoring the certificate", restore, kept)
            certificate("delete", "--name", name)
            refused("(Conflict)", restore, kept)

        with operation("restore of anything else is refused"):
            with file(b"no backup") as f:
                refused("Backup blob is corrupt.", restore, f)
            with file(bytes(4728)) as f:
                refused("Backup blob contains invalid or corrupt version.", restore, f)


def readside(prefix):
    rsa, elliptic, off, fixed = (f"{prefix}-{kind}" for kind in ("rsa", "ec", "unread", "fixed"))
    chain = [read("issuing.der"), read("root.der")]

    def secret(name):
        with place() as f:
            found = keyvault("secret", "show", "--name", name)
            keyvault("secret", "download", "--name", name, "--file", str(f), "--encoding", "utf-8")
            expect("the same every time", f.read_text(), found["value"])
            return found

    def pfx(found):
        key, leaf, more = pkcs12.load_key_and_certificates(base64.b64decode(found["value"]), b"")
        certificates = ([leaf] if leaf else []) + more
        return key, [c.public_bytes(Encoding.DER) for c in certificates]

    with operation("get the secret: PKCS #12"):
        imported = load(rsa, "password.pfx", "--password", "a password")
        found = secret(rsa)
        expect("links", (found["id"], found["kid"]), (imported["sid"], imported["kid"]))
        expect("kind", (found["managed"], found["contentType"]), (True, "application/x-pkcs12"))
        key, certificates = pfx(found)
        expect("certificates", certificates, [read("rsa.der"), *reversed(chain)])  # the root first, as in Key Vault's files
        public = x509.load_der_x509_certificate(read("rsa.der")).public_key()
        expect("key", key.public_key(), public)

    with operation("get the secret: PEM"):
        load(elliptic, "chain.pem")
        text = secret(elliptic)["value"].encode()
        certificates = x509.load_pem_x509_certificates(text)
        ders = [c.public_bytes(Encoding.DER) for c in certificates]
        expect("certificates", ders, [read("ec.der"), *chain])
        expect("key", load_pem_private_key(text, None).public_key(), certificates[0].public_key())

    with operation("get the secret of a key that is not exportable"):
        wanted = policy("Self", "CN=x") | {"keyProperties": {"keyType": "RSA", "keySize": 2048, "exportable": False}}
        create(fixed, wanted)
        created = certificate("show", "--name", fixed)
        expect("secret", pfx(secret(fixed)), (None, [base64.b64decode(created["cer"])]))

    with operation("get the secret of a disabled certificate"):
        load(off, "rsa.pfx", "--disabled", "true")
        refused("disabled", keyvault, "secret", "show", "--name", off)

    with operation("list secrets"):
        # The CLI leaves the secrets of certificates out unless it is asked.
        expect("listed", rsa in names(keyvault("secret", "list", "--include-managed", "true")), True)
        expect("versions", len(keyvault("secret", "list-versions", "--name", rsa)), 1)

    with operation("get the key"):
        found = keyvault("key", "show", "--name", rsa)
        expect("id", found["key"]["kid"], imported["kid"])
        expect("modulus", int.from_bytes(base64.b64decode(found["key"]["n"]), "big"), public.public_numbers().n)
        expect("curve", keyvault("key", "show", "--name", elliptic)["key"]["crv"], "P-256")

    with operation("list keys"):
        expect("listed", rsa in names(keyvault("key", "list", "--include-managed", "true")), True)
        expect("versions", len(keyvault("key", "list-versions", "--name", rsa)), 1)

    def sign(name, algorithm):
        given = base64.b64encode(digest).decode()
        signed = keyvault("key", "sign", "--name", name, "--algorithm", algorithm, "--digest", given)["signature"]
        asked = "--algorithm", algorithm, "--digest", given, "--signature", signed
        expect("valid", keyvault("key", "verify", "--name", name, *asked)["isValid"], True)
        return base64.b64decode(signed)

    digest = hashlib.sha256(b"text").digest()

    with operation("sign and verify with RSA"):
        leaf = x509.load_der_x509_certificate(base64.b64decode(created["cer"]))
        prehashed = utils.Prehashed(hashes.SHA256())
        leaf.public_key().verify(sign(fixed, "RS256"), digest, padding.PKCS1v15(), prehashed)

    with operation("sign and verify with EC"):
        signature = sign(elliptic, "ES256")
        r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
        leaf = x509.load_der_x509_certificate(read("ec.der"))
        leaf.public_key().verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(prehashed))
