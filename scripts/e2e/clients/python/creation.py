"""What may be asked for when a certificate is created."""

import asyncio

from azure.keyvault.certificates import CertificatePolicy, KeyUsageType, LifetimeAction
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from report import expect, operation, refused

UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


async def creation(vault, prefix):
    async def create(name, policy, **kwargs):
        return await (await vault.begin_create(name, policy, **kwargs))

    def leaf(certificate):
        return x509.load_der_x509_certificate(bytes(certificate.cer))

    with operation("create with the client's default policy"):
        created = await create(f"{prefix}-default", CertificatePolicy.get_default())
        expect("subject", leaf(created).subject.rfc4514_string(), "CN=DefaultPolicy")
        expect("key", (created.policy.key_type, created.policy.key_size, created.policy.exportable), ("RSA", 2048, True))
        expect("content type", created.policy.content_type, "application/x-pkcs12")

    with operation("create disabled, with tags"):
        name = f"{prefix}-disabled"
        policy = CertificatePolicy("Self", subject="CN=disabled.example.com", key_type="EC", key_curve_name="P-256")
        created = await create(name, policy, enabled=False, tags={"colour": "blue"}, preserve_order=True)
        expect("enabled", created.properties.enabled, False)
        expect("tags", created.properties.tags, {"colour": "blue"})
        expect("order", created.properties.preserve_order, True)
        listed = {p.name: p for p in await vault.list("list_properties_of_certificates")}
        expect("listed", (listed[name].enabled, listed[name].tags), (False, {"colour": "blue"}))

    with operation("create with every kind of alternative name"):
        policy = CertificatePolicy(
            "Self",
            key_type="EC",
            key_curve_name="P-256",
            san_dns_names=["a.example.com"],
            san_emails=["a@example.com"],
            san_user_principal_names=["b@example.com"],
            san_uris=["https://example.com/c"],
            san_ip_addresses=["192.0.2.1", "2001:0db8::1"],
        )
        created = await create(f"{prefix}-names", policy)
        names = leaf(created).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        expect("DNS names", names.get_values_for_type(x509.DNSName), policy.san_dns_names)
        expect("addresses", names.get_values_for_type(x509.RFC822Name), policy.san_emails)
        expect("URIs", names.get_values_for_type(x509.UniformResourceIdentifier), policy.san_uris)
        expect("IPs", [str(ip) for ip in names.get_values_for_type(x509.IPAddress)], ["192.0.2.1", "2001:db8::1"])
        principals = [n.value for n in names.get_values_for_type(x509.OtherName) if n.type_id == UPN]
        expect("UPNs", principals, [bytes([0x0C, 13]) + b"b@example.com"])
        for kind in "dns_names", "emails", "user_principal_names", "uris", "ip_addresses":
            expect(kind, getattr(created.policy, f"san_{kind}"), getattr(policy, f"san_{kind}"))

    with operation("create with keys of every kind"):
        kinds = {
            "rsa": {"key_type": "RSA", "key_size": 3072},
            "p256": {"key_type": "EC", "key_curve_name": "P-256"},
            "p384": {"key_type": "EC", "key_curve_name": "P-384"},
            "p521": {"key_type": "EC", "key_curve_name": "P-521"},
        }
        created = await asyncio.gather(
            *(create(f"{prefix}-key-{kind}", CertificatePolicy("Self", subject="CN=k", **key)) for kind, key in kinds.items())
        )
        keys = dict(zip(kinds, (leaf(c).public_key() for c in created)))
        expect("RSA", (isinstance(keys["rsa"], rsa.RSAPublicKey), keys["rsa"].key_size), (True, 3072))
        for kind, curve in ("p256", ec.SECP256R1), ("p384", ec.SECP384R1), ("p521", ec.SECP521R1):
            expect(kind, type(keys[kind].curve), curve)

    with operation("create with usages, validity and lifetime actions"):
        policy = CertificatePolicy(
            "Self",
            subject="CN=u",
            key_usage=[KeyUsageType.decipher_only],
            enhanced_key_usage=["1.3.6.1.5.5.7.3.3"],
            validity_in_months=3,
            lifetime_actions=[LifetimeAction("EmailContacts", days_before_expiry=20)],
        )
        created = await create(f"{prefix}-usages", policy)
        expect("usages", created.policy.enhanced_key_usage, policy.enhanced_key_usage)
        days = (leaf(created).not_valid_after_utc - leaf(created).not_valid_before_utc).days
        expect("validity", 89 <= days <= 93, True)
        expect("key usage", created.policy.key_usage, ["decipherOnly"])
        [action] = created.policy.lifetime_actions
        expect("action", (action.action, action.days_before_expiry), ("EmailContacts", 20))

    with operation("a bad name or policy is refused"):
        policy = CertificatePolicy("Self", subject="CN=x")
        await refused(400, "BadParameter", vault.begin_create("a_b", policy), saying="invalid name")
        bad = CertificatePolicy("Self", subject="no name")
        await refused(400, "BadParameter", vault.begin_create(f"{prefix}-bad", bad), saying="X.500")
