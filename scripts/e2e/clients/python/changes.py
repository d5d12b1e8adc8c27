"""What can be changed: versions, policies and issuers."""

from azure.keyvault.certificates import AdministratorContact, CertificateContact, CertificatePolicy, LifetimeAction

from ca import material
from report import expect, operation, refused


async def changes(vault, prefix):
    name, issuer = f"{prefix}-changed", f"{prefix}-changed"

    def update(*args, **kwargs):
        return vault.call("update_certificate_properties", name, *args, **kwargs)

    with operation("update the latest version"):
        imported = await vault.call("import_certificate", name, material("rsa.pfx"), tags={"colour": "blue"})
        before = imported.properties
        updated = (await update(tags={"colour": "red"})).properties
        expect("version", updated.version, before.version)
        expect("tags", updated.tags, {"colour": "red"})
        expect("updated later", updated.updated_on > before.updated_on, True)
        again = (await update(enabled=False)).properties
        expect("kept", (again.enabled, again.tags), (False, {"colour": "red"}))
        expect("updated later", again.updated_on > updated.updated_on, True)

    with operation("update a version"):
        await vault.call("import_certificate", name, material("rsa.pfx"))
        updated = (await update(before.version, enabled=True, tags={})).properties
        expect("version", updated.version, before.version)
        expect("changed", (updated.enabled, updated.tags or {}), (True, {}))
        latest = (await vault.call("get_certificate", name)).properties
        expect("another version", latest.version != before.version, True)
        await refused(404, "CertificateNotFound", update("0" * 32, enabled=True), saying="not found")

    with operation("update a policy"):
        policy = CertificatePolicy(
            "Unknown",
            subject="CN=policy.example.com",
            san_dns_names=["policy.example.com"],
            exportable=True,
            key_type="RSA",
            key_size=2048,
            reuse_key=True,
            key_usage=["dataEncipherment"],
            enhanced_key_usage=["1.3.6.1.5.5.7.3.1"],
            content_type="application/x-pkcs12",
            validity_in_months=12,
            lifetime_actions=[LifetimeAction("EmailContacts", lifetime_percentage=98)],
            certificate_transparency=False,
        )
        pending = f"{prefix}-policy"
        await (await vault.begin_create(pending, policy))
        key = ("key_type", "key_size", "key_curve_name", "exportable", "reuse_key")
        rest = (
            "issuer_name", "certificate_transparency", "subject", "san_dns_names", "san_emails", "san_uris",
            "san_ip_addresses", "san_user_principal_names", "key_usage", "enhanced_key_usage", "content_type",
            "validity_in_months",
        )  # fmt: skip
        stored = await vault.call("get_certificate_policy", pending)
        for field in key + rest:
            expect(field, getattr(stored, field), getattr(policy, field))
        elliptic = CertificatePolicy(
            exportable=True, key_type="EC", key_size=256, key_curve_name="P-256", reuse_key=False
        )
        updated = await vault.call("update_certificate_policy", pending, elliptic)
        for field in key:
            expect(field, getattr(updated, field), getattr(elliptic, field))
        for field in rest:
            expect(field, getattr(updated, field), getattr(policy, field))
        [action] = updated.lifetime_actions
        expect("action", (action.action, action.lifetime_percentage), ("EmailContacts", 98))
        expect("updated later", updated.updated_on >= stored.updated_on, True)

    with operation("administrators of an issuer"):
        administrator = AdministratorContact("First", "Last", "first@example.com", "1234")
        created = await vault.call(
            "create_issuer", issuer, "Test", enabled=True, account_id="account", admin_contacts=[administrator]
        )
        stored = await vault.call("get_issuer", issuer)
        [found] = stored.admin_contacts
        expect("administrator", vars(found), vars(administrator))
        expect("enabled", (created.enabled, stored.enabled), (True, True))
        updated = await vault.call("update_issuer", issuer, enabled=False, admin_contacts=[AdministratorContact("Second")])
        expect("enabled", updated.enabled, False)
        expect("administrators", [a.first_name for a in updated.admin_contacts], ["Second"])
        expect("account", updated.account_id, "account")
        deleted = await vault.call("delete_issuer", issuer)
        expect("deleted", (deleted.enabled, deleted.updated_on), (False, updated.updated_on))


async def contacts(vault, prefix):
    """A vault has one set of contacts: no other client may change it meanwhile."""
    with operation("set, get and delete contacts"):
        wanted = [CertificateContact("one@example.com", "One", "1"), CertificateContact("two@example.com")]
        stored = await vault.call("set_contacts", wanted)
        expect("set", [vars(c) for c in stored], [vars(c) for c in wanted])
        found = await vault.call("get_contacts")
        expect("contacts", [vars(c) for c in found], [vars(c) for c in wanted])
        deleted = await vault.call("delete_contacts")
        expect("deleted", [vars(c) for c in deleted], [vars(c) for c in wanted])
        await refused(404, "ContactsNotFound", vault.call("get_contacts"), saying="not found")
        await refused(404, "ContactsNotFound", vault.call("delete_contacts"), saying="not found")
