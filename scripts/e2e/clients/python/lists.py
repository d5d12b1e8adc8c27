"""Lists, page by page, and what is not in the vault."""

from ca import material
from report import expect, operation, refused


def names(pages):
    return [item.name for page in pages for item in page]


async def lists(vault, prefix):
    wanted = [f"{prefix}-listed-{i}" for i in range(3)]

    def own(pages):
        return [name for name in names(pages) if name in wanted]

    with operation("page through certificates"):
        for name in wanted:
            await vault.call("import_certificate", name, material("rsa.pfx"))
        pages = await vault.pages("list_properties_of_certificates", max_page_size=1)
        expect("names", own(pages), wanted)
        expect("page sizes", all(len(page) <= 1 for page in pages), True)

    with operation("page through versions"):
        for _ in range(2):
            await vault.call("import_certificate", wanted[0], material("rsa.pfx"))
        pages = await vault.pages("list_properties_of_certificate_versions", wanted[0], max_page_size=2)
        expect("page sizes", [len(page) for page in pages], [2, 1])
        expect("versions", len({item.version for page in pages for item in page}), 3)

    with operation("page through deleted certificates"):
        for name in wanted:
            await vault.delete(name)
        pages = await vault.pages("list_deleted_certificates", max_page_size=1, include_pending=True)
        expect("names", own(pages), wanted)

    with operation("what is not there is not found"):
        nothing = f"{prefix}-nothing"
        for method, args, code in (
            ("get_certificate", (nothing,), "CertificateNotFound"),
            ("get_certificate_version", (nothing, "0" * 32), "CertificateNotFound"),
            ("get_certificate_policy", (nothing,), "CertificateNotFound"),
            ("get_certificate_operation", (nothing,), "PendingCertificateNotFound"),
            ("cancel_certificate_operation", (nothing,), "PendingCertificateNotFound"),
            ("delete_certificate_operation", (nothing,), "PendingCertificateNotFound"),
            ("update_certificate_properties", (nothing,), "CertificateNotFound"),
            ("backup_certificate", (nothing,), "CertificateNotFound"),
            ("get_deleted_certificate", (nothing,), "CertificateNotFound"),
            ("purge_deleted_certificate", (nothing,), "CertificateNotFound"),
            ("get_issuer", (nothing,), "CertificateIssuerNotFound"),
            ("update_issuer", (nothing,), "CertificateIssuerNotFound"),
            ("delete_issuer", (nothing,), "CertificateIssuerNotFound"),
        ):
            await refused(404, code, vault.call(method, *args), saying="not found")
        await refused(404, "CertificateNotFound", vault.delete(nothing), saying="not found")
        await refused(404, "CertificateNotFound", vault.recover(nothing), saying="not found")
