"""Certificates that come with their keys."""

from azure.keyvault.certificates import CertificateContentType, CertificatePolicy

from ca import material
from report import expect, not_offered, operation, refused

PEM = CertificatePolicy(content_type=CertificateContentType.pem)


async def imports(vault, prefix):
    def load(name, file, **kwargs):
        return vault.call("import_certificate", f"{prefix}-{name}", material(file), **kwargs)

    with operation("import PKCS #12"):
        imported = await load("pfx", "rsa.pfx")
        expect("certificate", bytes(imported.cer), material("rsa.der"))
        expect("enabled", imported.properties.enabled, True)
        expect("issuer", imported.policy.issuer_name, "Unknown")
        expect("key", (imported.policy.key_type, imported.policy.key_size), ("RSA", 2048))
        expect("content type", imported.policy.content_type, "application/x-pkcs12")
        expect("certificate", (await vault.call("get_certificate", f"{prefix}-pfx")).cer, imported.cer)

    with operation("import PKCS #12 with a password"):
        imported = await load("password", "password.pfx", password="a password", tags={"colour": "blue"})
        expect("certificate", bytes(imported.cer), material("rsa.der"))
        expect("tags", imported.properties.tags, {"colour": "blue"})

    not_offered("import PEM", "the client encodes all that it imports in base64")

    with operation("import PEM in base64"):
        imported = await load("pem", "ec.pem", policy=PEM)
        expect("certificate", bytes(imported.cer), material("ec.der"))
        expect("content type", imported.policy.content_type, "application/x-pem-file")
        expect("key", (imported.policy.key_type, imported.policy.key_curve_name), ("EC", "P-256"))

    with operation("import a chain in any order"):
        imported = await load("chain", "chain.pem", policy=PEM)
        expect("certificate", bytes(imported.cer), material("ec.der"))

    with operation("import disabled, keeping the order of the chain"):
        imported = await load("off", "rsa.pfx", enabled=False, preserve_order=True)
        expect("enabled", imported.properties.enabled, False)
        expect("order", imported.properties.preserve_order, True)
        expect("certificate", (await vault.call("get_certificate", f"{prefix}-off")).cer, imported.cer)

    with operation("import a new version"):
        imported = await load("pfx", "ec.pem", policy=PEM)
        latest = await vault.call("get_certificate", f"{prefix}-pfx")
        expect("version", latest.properties.version, imported.properties.version)
        versions = await vault.list("list_properties_of_certificate_versions", f"{prefix}-pfx")
        expect("versions", len(versions), 2)

    with operation("what cannot be imported is refused"):
        await refused(400, "BadParameter", load("bad", "password.pfx", password="another"), saying="PKCS#12")
        await refused(400, "BadParameter", load("bad", "keyless.pem", policy=PEM), saying="private key")
        await refused(400, "BadParameter", load("bad", "rsa.der"), saying="PKCS#12")
        await refused(404, "CertificateNotFound", vault.call("get_certificate", f"{prefix}-bad"))
